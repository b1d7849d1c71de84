# This file is auto-generated from the current state of the database. Instead
# of editing this file, please use the migrations feature of Active Record to
# incrementally modify your database, and then regenerate this schema definition.
#
# This file is the source Rails uses to define your schema when running `bin/rails
# db:schema:load`. When creating a new database, `bin/rails db:schema:load` tends to
# be faster and is potentially less error prone than running all of your
# migrations from scratch. Old migrations may fail to apply correctly if those
# migrations use external dependencies or application code.
#
# It's strongly recommended that you check this file into your version control system.

ActiveRecord::Schema.define(version: 2026_01_13_000101) do

  # These are extensions that must be enabled in order to support this database
  enable_extension "plpgsql"

  create_table "accounts", force: :cascade do |t|
    t.string "name", null: false
    t.jsonb "settings", default: {}, null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
  end

  create_table "automation_rules", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.string "event", null: false
    t.jsonb "conditions", default: [], null: false
    t.jsonb "actions", default: [], null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id", "event"], name: "index_automation_rules_on_account_id_and_event"
  end

  create_table "contacts", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.string "name", null: false
    t.string "external_id"
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id", "external_id"], name: "index_contacts_on_account_id_and_external_id", unique: true
  end

  create_table "conversations", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.bigint "inbox_id", null: false
    t.bigint "contact_id", null: false
    t.bigint "assignee_id"
    t.string "status", default: "open", null: false
    t.datetime "last_activity_at", precision: 6, null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id", "last_activity_at", "id"], name: "index_conversations_by_activity", order: { last_activity_at: :desc, id: :desc }
    t.index ["account_id", "status", "last_activity_at", "id"], name: "index_conversations_by_status_and_activity", order: { last_activity_at: :desc, id: :desc }
    t.index ["assignee_id"], name: "index_conversations_on_assignee_id"
    t.index ["contact_id"], name: "index_conversations_on_contact_id"
    t.index ["inbox_id"], name: "index_conversations_on_inbox_id"
    t.check_constraint "(status)::text = ANY ((ARRAY['open'::character varying, 'pending'::character varying, 'resolved'::character varying])::text[])", name: "conversations_status_is_known"
  end

  create_table "finished_jobs", force: :cascade do |t|
    t.bigint "message_id", null: false
    t.string "job", null: false
    t.datetime "created_at", precision: 6, null: false
    t.index ["message_id", "job"], name: "index_finished_jobs_on_message_id_and_job", unique: true
  end

  create_table "idempotency_keys", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.bigint "user_id", null: false
    t.string "key", null: false
    t.string "fingerprint", null: false
    t.integer "status"
    t.text "body"
    t.datetime "created_at", precision: 6, null: false
    t.index ["account_id", "user_id", "key"], name: "index_idempotency_keys_on_account_id_and_user_id_and_key", unique: true
    t.index ["created_at"], name: "index_idempotency_keys_on_created_at"
  end

  create_table "inboxes", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.string "name", null: false
    t.string "channel", null: false
    t.string "status", default: "active", null: false
    t.jsonb "config", default: {}, null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index "((config ->> 'pageId'::text))", name: "index_inboxes_by_facebook_page", unique: true, where: "((channel)::text = 'facebook'::text)"
    t.index ["account_id"], name: "index_inboxes_on_account_id"
    t.check_constraint "(channel)::text = ANY ((ARRAY['web'::character varying, 'facebook'::character varying])::text[])", name: "inboxes_channel_is_known"
    t.check_constraint "(status)::text = ANY ((ARRAY['active'::character varying, 'disconnected'::character varying])::text[])", name: "inboxes_status_is_known"
  end

  create_table "keys_to_forget", force: :cascade do |t|
    t.string "key", null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "kept_until", precision: 6
  end

  create_table "messages", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.bigint "inbox_id", null: false
    t.bigint "conversation_id", null: false
    t.bigint "user_id"
    t.bigint "contact_id"
    t.string "direction", null: false
    t.text "content", null: false
    t.string "external_id"
    t.string "status", default: "sent", null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id"], name: "index_messages_on_account_id"
    t.index ["contact_id"], name: "index_messages_on_contact_id"
    t.index ["conversation_id", "id"], name: "index_messages_on_conversation_id_and_id"
    t.index ["inbox_id", "external_id"], name: "index_messages_on_inbox_id_and_external_id", unique: true
    t.index ["user_id"], name: "index_messages_on_user_id"
    t.check_constraint "((direction)::text = 'outgoing'::text) = (user_id IS NOT NULL)", name: "messages_of_users_are_outgoing"
    t.check_constraint "(direction)::text = ANY ((ARRAY['incoming'::character varying, 'outgoing'::character varying])::text[])", name: "messages_direction_is_known"
    t.check_constraint "(status)::text = ANY ((ARRAY['sent'::character varying, 'delivered'::character varying, 'failed'::character varying])::text[])", name: "messages_status_is_known"
    t.check_constraint "num_nonnulls(user_id, contact_id) = 1", name: "messages_have_one_sender"
  end

  create_table "metrics", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.date "day", null: false
    t.string "name", null: false
    t.bigint "value", default: 0, null: false
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id", "day", "name"], name: "index_metrics_on_account_id_and_day_and_name", unique: true
  end

  create_table "notifications", force: :cascade do |t|
    t.bigint "user_id", null: false
    t.bigint "message_id", null: false
    t.datetime "read_at", precision: 6
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["message_id"], name: "index_notifications_on_message_id"
    t.index ["user_id", "message_id"], name: "index_notifications_on_user_id_and_message_id", unique: true
  end

  create_table "outbox", force: :cascade do |t|
    t.string "queue", default: "default", null: false
    t.string "job", null: false
    t.jsonb "args", null: false
    t.string "jid", default: -> { "substr(replace((gen_random_uuid())::text, '-'::text, ''::text), 1, 24)" }, null: false
    t.datetime "created_at", precision: 6, null: false
  end

  create_table "users", force: :cascade do |t|
    t.bigint "account_id", null: false
    t.string "email", null: false
    t.string "password_digest", null: false
    t.string "name", null: false
    t.string "role", default: "agent", null: false
    t.datetime "last_sign_in_at", precision: 6
    t.datetime "created_at", precision: 6, null: false
    t.datetime "updated_at", precision: 6, null: false
    t.index ["account_id"], name: "index_users_on_account_id"
    t.index ["email"], name: "index_users_on_email", unique: true
    t.check_constraint "(email)::text = lower((email)::text)", name: "users_email_is_lower_case"
    t.check_constraint "(role)::text = ANY ((ARRAY['agent'::character varying, 'admin'::character varying])::text[])", name: "users_role_is_known"
  end

  add_foreign_key "automation_rules", "accounts"
  add_foreign_key "contacts", "accounts"
  add_foreign_key "conversations", "accounts"
  add_foreign_key "conversations", "contacts"
  add_foreign_key "conversations", "inboxes"
  add_foreign_key "conversations", "users", column: "assignee_id", on_delete: :nullify
  add_foreign_key "finished_jobs", "messages", on_delete: :cascade
  add_foreign_key "inboxes", "accounts"
  add_foreign_key "messages", "accounts"
  add_foreign_key "messages", "contacts"
  add_foreign_key "messages", "conversations"
  add_foreign_key "messages", "inboxes"
  add_foreign_key "messages", "users"
  add_foreign_key "metrics", "accounts"
  add_foreign_key "notifications", "messages"
  add_foreign_key "notifications", "users"
  add_foreign_key "users", "accounts"
end
