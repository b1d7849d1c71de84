# frozen_string_literal: true

module Api
  module V1
    class ConversationsController < AuthenticatedController
      def index
        filter = ConversationsRequest.validated(request.query_parameters)
        conversations = in_account(Conversation)
        conversations = conversations.where(status: filter.status) if filter.status
        page = Page.new(conversations, ActivityCursor, after: filter.after, size: filter.page_size)
        Conversations::Preload.call(page.rows) if Rails.configuration.x.eager_conversations
        render json: PageSerializer.new(page, ConversationSerializer)
      end

      def show
        render_cached Cache::Entry.conversation(row_id(params[:id]), claims.account_id) do
          { data: ConversationSerializer.new(find_in_account(Conversation, params[:id])) }
        end
      end

      def update
        requested = ConversationChanges.validated(json_body)
        current_user # whose row must still be there
        conversation = find_in_account(Conversation, params[:id])
        Conversations::Update.call(conversation, requested.changes)
        render json: { data: ConversationSerializer.new(conversation) }
      end
    end
  end
end
