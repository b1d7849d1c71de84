# frozen_string_literal: true

Rails.application.routes.draw do
  # ActionCable mounts itself at /cable.

  # Everything is JSON, whatever Accept or an extension ask for.
  scope format: false, defaults: { format: :json } do
    get "up", to: "health#show"

    namespace :auth do
      post "login", to: "sessions#create"
      post "refresh", to: "sessions#refresh"
      post "logout", to: "sessions#destroy"
    end

    namespace :webhooks do
      resource :facebook, only: %i[show create], controller: "facebook"
    end

    namespace :api do
      namespace :v1 do
        resources :conversations, only: %i[index show] do
          patch "", action: :update, on: :member
          resources :messages, only: :index
        end
        resources :messages, only: :create
        resources :users, :inboxes, only: :show do
          patch "", action: :update, on: :member
        end
        resources :accounts, only: [] do
          get "settings", action: :show_settings, on: :member
          patch "settings", action: :update_settings, on: :member
        end
      end
    end

    root to: "unknown_routes#show", via: :all
    match "*path", to: "unknown_routes#show", via: :all
  end
end
