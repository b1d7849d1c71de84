# frozen_string_literal: true

# The only way from a controller to rows: those of the caller's account. Another account's row is not found.
module AccountScope
  extend ActiveSupport::Concern

  private

  def in_account(model)
    model.where(account_id: claims.account_id)
  end

  def row_id(text)
    RowId.parse(text) || raise(ApiError::NotFound)
  end

  # `find` alone would take "7up" for 7.
  def find_in_account(model, id)
    in_account(model).find(row_id(id))
  end

  # Of all accounts only the caller's is there.
  def find_own_account(id)
    Account.where(id: claims.account_id).find(row_id(id))
  end
end
