# frozen_string_literal: true

# `RequestLog` writes the one line of a request.
ActiveSupport.on_load(:action_controller_api) { ActionController::LogSubscriber.detach_from :action_controller }
