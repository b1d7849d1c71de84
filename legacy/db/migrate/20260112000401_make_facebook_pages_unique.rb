# frozen_string_literal: true

# A delivery of Facebook's names its page and nothing else: it must lead to one inbox.
class MakeFacebookPagesUnique < ActiveRecord::Migration[6.1]
  def change
    add_index :inboxes, "(config ->> 'pageId')", unique: true, where: "channel = 'facebook'",
                                                 name: "index_inboxes_by_facebook_page"
  end
end
