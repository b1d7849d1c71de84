# frozen_string_literal: true

class CreateMetrics < ActiveRecord::Migration[6.1]
  def change
    create_table :metrics do |t|
      t.references :account, null: false, foreign_key: true, index: false
      t.date :day, null: false
      t.string :name, null: false
      t.bigint :value, null: false, default: 0
      t.timestamps precision: 6

      t.index %i[account_id day name], unique: true
    end
  end
end
