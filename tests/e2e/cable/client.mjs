// The client of browsers, under Node: subscribes to conversations and prints, a line of JSON each, what it is told.
// node client.mjs ws://HOST:PORT/cable?token=… ORIGIN CONVERSATION…
import WebSocket from "ws"

const [url, origin, ...conversations] = process.argv.slice(2)

// What a browser would have around the client.
globalThis.self = globalThis
globalThis.document = { visibilityState: "visible" }
globalThis.addEventListener = globalThis.removeEventListener = () => {}
const { default: ActionCable } = await import("@rails/actioncable")
ActionCable.adapters.WebSocket = class extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { origin })
  }
}

const tell = (event, id, data = null) => console.log(JSON.stringify({ event, id, data }))
const consumer = ActionCable.createConsumer(url)
for (const id of conversations.map(Number)) {
  consumer.subscriptions.create(
    { channel: "ConversationChannel", id },
    {
      connected: () => tell("connected", id),
      rejected: () => tell("rejected", id),
      received: (data) => tell("received", id, data),
      disconnected: (how) => tell("disconnected", id, how),
    },
  )
}
// Whoever started us ends us by closing our input.
process.stdin.resume().on("end", () => {
  consumer.disconnect()
  process.exit(0)
})
