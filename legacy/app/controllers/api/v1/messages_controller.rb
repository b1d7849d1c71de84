# frozen_string_literal: true

module Api
  module V1
    class MessagesController < AuthenticatedController
      def index
        filter = MessagesRequest.validated(request.query_parameters)
        messages = find_in_account(Conversation, params[:conversation_id]).messages.includes(:user, :contact)
        page = Page.new(messages, IdCursor, after: filter.after, size: filter.page_size)
        render json: PageSerializer.new(page, MessageSerializer)
      end

      def create
        draft = MessageRequest.validated(json_body)
        user = in_account(User).find_by(id: claims.user_id) or raise ApiError::Unauthorized
        conversation = find_in_account(Conversation, draft.conversation_id)
        message = Messages::Create.call(user: user, conversation: conversation, content: draft.content)
        render json: { data: MessageSerializer.new(message) }, status: :created
      end
    end
  end
end
