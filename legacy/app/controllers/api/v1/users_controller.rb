# frozen_string_literal: true

module Api
  module V1
    class UsersController < AuthenticatedController
      def show
        render_cached Cache::Entry.user(row_id(params[:id])) do
          { data: UserSerializer.new(find_in_account(User, params[:id])) }
        end
      end

      def update
        requested = UserChanges.validated(json_body)
        current_user # whose row must still be there
        user = find_in_account(User, params[:id])
        Users::Update.call(user, requested.changes, by: current_user)
        render json: { data: UserSerializer.new(user) }
      end
    end
  end
end
