# frozen_string_literal: true

# Answers to GET that may come from the cache.
module CachedAnswers
  extend ActiveSupport::Concern

  private

  # The entry as the answer, or what the block finds in the database; without an entry it is not kept. Who only compares
  # us with the other side neither reads nor fills: an entry may be the other side's.
  def render_cached(entry)
    return render(json: yield) if entry.nil? || Shadow.on?

    render json: Cache.fetch(entry, claims.account_id) { yield.to_json }
  end
end
