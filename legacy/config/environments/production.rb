# frozen_string_literal: true

Rails.application.configure do
  config.cache_classes = true
  config.eager_load = true
  config.consider_all_requests_local = false
  config.active_record.dump_schema_after_migration = false
  config.i18n.fallbacks = true

  # `Exceptions` answers and logs what the controllers did not expect.
  config.middleware.delete ActionDispatch::DebugExceptions
end
