# frozen_string_literal: true

namespace :shadow do
  desc "Make the role of SHADOW_DATABASE_URL, which may read every table of now and later, and do nothing else"
  task role: :environment do
    Shadow::Role.grant
  end
end
