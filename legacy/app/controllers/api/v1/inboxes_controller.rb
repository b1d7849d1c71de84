# frozen_string_literal: true

module Api
  module V1
    class InboxesController < AuthenticatedController
      def show
        render_cached Cache::Entry.inbox(row_id(params[:id])) do
          { data: InboxSerializer.new(find_in_account(Inbox, params[:id])) }
        end
      end

      def update
        requested = InboxChanges.validated(json_body)
        current_user # whose row must still be there
        inbox = find_in_account(Inbox, params[:id])
        as_admin { Inboxes::Update.call(inbox, requested.changes) }
        render json: { data: InboxSerializer.new(inbox) }
      end
    end
  end
end
