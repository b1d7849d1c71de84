# frozen_string_literal: true

module ApplicationCable
  # A client's socket, opened with `?token=<access token>`.
  class Connection < ActionCable::Connection::Base
    identified_by :current_user

    def connect
      claims = AccessToken.verify(request.params[:token].to_s)
      user = claims && User.find_by(id: claims.user_id, account_id: claims.account_id)
      self.current_user = user || reject_unauthorized_connection
    end
  end
end
