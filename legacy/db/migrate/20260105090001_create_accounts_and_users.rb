# frozen_string_literal: true

class CreateAccountsAndUsers < ActiveRecord::Migration[6.1]
  def change
    create_table :accounts do |t|
      t.string :name, null: false
      t.jsonb :settings, null: false, default: {}
      t.timestamps precision: 6
    end

    create_table :users do |t|
      t.references :account, null: false, foreign_key: true
      t.string :email, null: false
      t.string :password_digest, null: false
      t.string :name, null: false
      t.string :role, null: false, default: "agent"
      t.datetime :last_sign_in_at, precision: 6
      t.timestamps precision: 6

      t.index :email, unique: true
      t.check_constraint "email = lower(email)", name: "users_email_is_lower_case"
      t.check_constraint "role IN ('agent', 'admin')", name: "users_role_is_known"
    end
  end
end
