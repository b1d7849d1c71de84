# frozen_string_literal: true

class CreateAutomationRules < ActiveRecord::Migration[6.1]
  def change
    create_table :automation_rules do |t|
      t.references :account, null: false, foreign_key: true, index: false
      t.string :event, null: false
      t.jsonb :conditions, null: false, default: []
      t.jsonb :actions, null: false, default: []
      t.timestamps precision: 6

      t.index %i[account_id event]
    end
  end
end
