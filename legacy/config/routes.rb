# frozen_string_literal: true

Rails.application.routes.draw do
  # ActionCable mounts itself at /cable.

  # Everything is JSON, whatever Accept or an extension ask for.
  scope format: false, defaults: { format: :json } do
    get "up", to: "health#show"

    namespace :auth do
      post "login", to: "sessions#create"
    end

    namespace :api do
      namespace :v1 do
        resources :conversations, only: %i[index show] do
          resources :messages, only: :index
        end
        resources :messages, only: :create
      end
    end

    root to: "unknown_routes#show", via: :all
    match "*path", to: "unknown_routes#show", via: :all
  end
end
