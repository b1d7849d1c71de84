# frozen_string_literal: true

module Api
  module V1
    class MessagesController < AuthenticatedController
      include Idempotency

      def index
        filter = MessagesRequest.validated(request.query_parameters)
        entry = Cache::Entry.first_page(row_id(params[:conversation_id]), claims.account_id) if filter.default?
        render_cached(entry) { PageSerializer.new(page_of_messages(filter), MessageSerializer) }
      end

      def create
        draft = MessageRequest.validated(json_body)
        render_once("POST /api/v1/messages", draft, status: :created) { { data: MessageSerializer.new(created(draft)) } }
      end

      private

      def page_of_messages(filter)
        messages = find_in_account(Conversation, params[:conversation_id]).messages.includes(:user, :contact)
        Page.new(messages, IdCursor, after: filter.after, size: filter.page_size)
      end

      def created(draft)
        user = current_user
        conversation = find_in_account(Conversation, draft.conversation_id)
        Messages::Create.call(user: user, conversation: conversation, content: draft.content)
      end
    end
  end
end
