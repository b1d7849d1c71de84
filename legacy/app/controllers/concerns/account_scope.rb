# frozen_string_literal: true

# The only way from a controller to rows: those of the caller's account. Another account's row is not found.
module AccountScope
  extend ActiveSupport::Concern

  private

  def in_account(model)
    model.where(account_id: claims.account_id)
  end

  # `find` alone would take "7up" for 7.
  def find_in_account(model, id)
    in_account(model).find(RowId.parse(id) || raise(ApiError::NotFound))
  end
end
