# frozen_string_literal: true

# Of an inbox's configuration only the page's public id is shown, never what one is let into Facebook with.
class InboxSerializer
  def initialize(inbox)
    @inbox = inbox
  end

  def as_json(options = nil)
    {
      id: @inbox.id,
      name: @inbox.name,
      channel: @inbox.channel,
      status: @inbox.status,
      pageId: @inbox.config["pageId"],
      createdAt: @inbox.created_at,
      updatedAt: @inbox.updated_at
    }.as_json(options)
  end
end
