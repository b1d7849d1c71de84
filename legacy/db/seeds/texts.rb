# frozen_string_literal: true

module Seeds
  NAMES = [
    "Ada Okafor", "Björn Lindqvist", "Chloé Dubois", "Daniel Müller", "Elif Yılmaz", "Fatima Zahra", "Grzegorz Wójcik",
    "Hana Sato", "Ines García", "João Pereira", "Katarína Nováková", "Liam O'Brien", "Mei-Ling Chen", "Nikos Παπαδόπουλος",
    "Olena Шевченко", "Priya Sharma", "Quentin Lefèvre", "Rosa D'Angelo", "Søren Østergård", "Thảo Nguyễn", "Uma Iyer",
    "Víctor Peña", "Wanjiru Kamau", "Xavier Roca", "Yusuf Demir", "Zoë van Dijk", "山田 太郎", "김민준", "ليلى حسن", "Иван Петров"
  ].freeze

  QUESTIONS = [
    "Hi! My order %<number>d has not arrived yet. Where is it?",
    "Hello, can I still change the address of order %<number>d?",
    "The invoice for %<number>d shows the wrong VAT number 😕",
    "It says <b>error</b> &amp; then the page is empty when I pay. Please help!",
    "Guten Tag, wann kommt meine Bestellung %<number>d? Vielen Dank für Ihre Hilfe.",
    "Die Größe passt leider nicht – kann ich %<number>d umtauschen?",
    "Bonjour, je n’ai pas reçu ma commande %<number>d. Où est-elle ?",
    "¿Puedo devolver el pedido %<number>d? Me llegó roto 😡",
    "Olá! O código de desconto não funciona no pedido %<number>d.",
    "Dzień dobry, proszę o fakturę do zamówienia %<number>d.",
    "注文番号 %<number>d はいつ届きますか？",
    "주문 %<number>d 취소하고 싶어요 🙏",
    "أين طلبي رقم %<number>d؟",
    "मेरा ऑर्डर %<number>d अभी तक नहीं आया",
    "Здравствуйте! Когда отправят заказ %<number>d?",
    "Thanks 👍🏽",
    "ok",
    "Is 5 < 6 && 7 > 6 true for your \"smart\" scale? It shows C:\\temp\\%<number>d",
    "First line of my problem with %<number>d\nsecond line\n\n\tand an indented one",
    "Family plan for 👨‍👩‍👧‍👦 please, order %<number>d"
  ].freeze

  ANSWERS = [
    "Thank you for writing! I am looking into order %<number>d right now.",
    "I am sorry about that. Order %<number>d leaves our warehouse today 📦",
    "Done: the address of %<number>d has been changed. Anything else?",
    "Could you send us a photo, please? Then we replace it at once.",
    "Gerne! Die Bestellung %<number>d ist unterwegs und kommt morgen an.",
    "Bien sûr, je m’en occupe tout de suite. Bonne journée !",
    "Claro, le enviamos la etiqueta de devolución para %<number>d.",
    "Claro que sim – já corrigimos o pedido %<number>d.",
    "Oczywiście, faktura do %<number>d jest w załączniku.",
    "ご連絡ありがとうございます。%<number>d を確認いたします。",
    "Конечно, заказ %<number>d будет отправлен сегодня.",
    "بالطبع، سنرسل الطلب %<number>d اليوم.",
    "Please see <https://help.example/returns?order=%<number>d&step=1> for the details.",
    "You are welcome! 🎉",
    "A refund of 12 € (10 %% off) is on its way. R&D says \"sorry\" too.",
    "A separator that some parsers trip over: \u2028and one more\u2029."
  ].freeze
end
