# frozen_string_literal: true

module Api
  module V1
    class AccountsController < AuthenticatedController
      def show_settings
        render_cached Cache::Entry.settings(row_id(params[:id])) do
          { data: SettingsSerializer.new(find_own_account(params[:id])) }
        end
      end

      def update_settings
        requested = SettingsChanges.validated(json_body)
        current_user # whose row must still be there
        account = find_own_account(params[:id])
        as_admin { Accounts::UpdateSettings.call(account, requested.changes) }
        render json: { data: SettingsSerializer.new(account) }
      end
    end
  end
end
