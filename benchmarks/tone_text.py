"""What the synthetic voices say: sentences of a council's switchboard, made up, in several languages."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

_ENGLISH = (
    "Good morning, you are through to the council, my name is {name}, how can I help?",
    "Your reference number is {ref}, shall I say that again? It was {ref}.",
    "I live at {n2} {street}, and the postcode is {postcode}.",
    "My telephone number is {phone}, and my date of birth is the {day} of {month}, nineteen {n2}.",
    "The bin was not emptied on {weekday}, nor on the {weekday} before, and this is the {n1}th time I have called.",
    "The charge for this year comes to {n4} pounds and {n2} pence, in {n2} instalments of {n3} pounds each.",
    "Would you hold the line for a moment, please, while I ask my colleague in the planning office?",
    "No no no, that is not what the letter says; it says quite plainly that we have until the {day} of {month}.",
    "There is a street light out in {street}, near number {n3}, opposite the school.",
    "Could you spell that for me? {spelled}.",
    "He said he would ring back before {hour} o'clock, and then we heard nothing whatever until {weekday}.",
    "I am afraid the housing team are all busy, and you are number {n2} in the queue.",
    "Thank you so much, {name}, you have been ever so kind. Bye now. Bye bye. Bye.",
    "Whoever keeps the keys of the old hall knows which windows were broken and who ought to mend them.",
    "Ooh, well, you see, my sister Louise moved to the blue house with the big yew tree two years ago.",
    "Zero, eight, hundred, oh, {n1}, {n1}, double {n1}, {n1}, triple {n1}, {n2}.",
)
_OTHERS = {
    "de": (
        "Guten Tag, hier spricht {name}, meine Kundennummer lautet {ref}.",
        "Ich wohne in der {street} Nummer {n3}, dritter Stock links, und die Heizung geht schon wieder nicht.",
        "Könnten Sie bitte langsamer sprechen? Ich habe {phone} aufgeschrieben, stimmt das so?",
        "Der Termin war am {day}. um {hour} Uhr {n2}, aber niemand hat die Tür geöffnet.",
        "Die Gebühr beträgt {n3} Euro und {n2} Cent; überweisen Sie bitte unter dem Zeichen {spelled}.",
        "Das müsste eigentlich die Müllabfuhr wissen, die kommt sonst jeden zweiten Dienstag.",
    ),
    "fr-fr": (
        "Bonjour, je m'appelle {name} et je vous appelle au sujet du dossier {ref}.",
        "J'habite au {n3} de la rue {street}, deuxième étage, et l'éclairage ne marche plus depuis {n2} jours.",
        "Mon numéro est le {phone}, vous pouvez me rappeler après {hour} heures.",
        "Le montant à payer est de {n4} euros et {n2} centimes avant le {day} du mois prochain.",
        "Pourriez-vous épeler votre nom ? Oui, bien sûr : {spelled}.",
        "On m'a dit hier que tout était réglé, et aujourd'hui on me demande encore un papier.",
    ),
    "es": (
        "Buenos días, soy {name} y llamo por el expediente número {ref}.",
        "Vivo en la calle {street}, número {n3}, y llevo {n2} días sin agua caliente.",
        "Mi teléfono es el {phone}, y estoy en casa a partir de las {hour}.",
        "El recibo es de {n4} euros con {n2} céntimos y ya lo pagué el día {day}.",
        "¿Me lo puede deletrear? Claro que sí: {spelled}.",
        "Mire, la semana pasada vino un señor muy amable y dijo que lo arreglaban enseguida.",
    ),
    "it": (
        "Buongiorno, sono {name}, chiamo per la pratica numero {ref}.",
        "Abito in via {street}, al numero {n3}, e il lampione è spento da {n2} giorni.",
        "Il mio numero è {phone}, mi trovate dopo le {hour}.",
        "Devo pagare {n4} euro e {n2} centesimi entro il {day} del mese.",
        "Glielo scrivo lettera per lettera: {spelled}.",
        "Ma guardi, ieri mi avevano detto che era tutto a posto, e invece no.",
    ),
    "pl": (
        "Dzień dobry, mówi {name}, dzwonię w sprawie numer {ref}.",
        "Mieszkam przy ulicy {street} {n3}, a śmieci nie odebrano od {n2} dni.",
        "Mój numer telefonu to {phone}, proszę dzwonić po godzinie {hour}.",
        "Opłata wynosi {n4} funtów i {n2} pensów, do zapłaty przed {day} następnego miesiąca.",
        "Proszę przeliterować: {spelled}.",
        "Wczoraj pani mówiła, że wszystko jest już załatwione, a dzisiaj znowu przyszło pismo.",
    ),
    "cy": (
        "Bore da, {name} sydd yma, ac mae fy rhif i yn {ref}.",
        "Rydw i'n byw yn {n3} {street}, ac mae'r golau wedi torri ers {n2} diwrnod.",
        "Fy rhif ffôn yw {phone}, ffoniwch fi ar ôl {hour} o'r gloch.",
        "Mae'n rhaid talu {n4} o bunnoedd cyn y {day} o'r mis.",
        "Diolch yn fawr iawn i chi, a phob hwyl i bawb yn y swyddfa.",
    ),
    "pt": (
        "Bom dia, fala {name}, estou a ligar por causa do processo {ref}.",
        "Moro na rua {street}, número {n3}, e não há luz há {n2} dias.",
        "O meu telefone é o {phone}, pode ligar depois das {hour} horas.",
        "São {n4} euros e {n2} cêntimos, a pagar até ao dia {day}.",
        "Ontem disseram-me que já estava tudo tratado, e hoje pedem outro papel.",
    ),
    "ro": (
        "Bună ziua, mă numesc {name} și sun în legătură cu dosarul {ref}.",
        "Locuiesc pe strada {street}, numărul {n3}, și nu avem lumină de {n2} zile.",
        "Numărul meu este {phone}, mă puteți suna după ora {hour}.",
        "Suma de plată este de {n4} de lire și {n2} de penny, până pe {day} ale lunii.",
    ),
}
_NUMBERS = ("{ref}. {phone}. {n4}. {n2}, {n3}, {n1}.", "{n4}, {n4}; {hour}. {phone}. {n3}.")
"""For languages in which we write nothing: espeak-ng says numbers in all of them."""

_NAMES = (
    "Margaret Oyelaran", "John Whitfield", "Siobhan Keane", "Amir Hussain", "Priya Raman", "Gwen Llewellyn",
    "Tomasz Zielinski", "Lucy Moore", "Oluwaseun Bello", "Hugh Farquhar", "Ewa Nowak", "Ruth Beamish", "Yusuf Noor",
)  # fmt: skip
_STREETS = (
    "Church Lane", "Moorfield Road", "Queen Victoria Street", "Upper Wootton Close", "Beech Avenue", "Quay Hill",
    "Station Approach", "Low Row", "Eighth Avenue", "Mill View", "Hooley Brow", "Dunmore Crescent",
)  # fmt: skip
_MONTHS = ("January", "March", "April", "June", "July", "August", "September", "October", "November")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_FORTUNE = re.compile(r"^%$", re.MULTILINE)


def _filled(template: str, dice: random.Random) -> str:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    outward = "".join(dice.choices(letters, k=2)) + str(dice.randint(1, 29))
    return template.format(
        name=dice.choice(_NAMES),
        street=dice.choice(_STREETS),
        month=dice.choice(_MONTHS),
        weekday=dice.choice(_WEEKDAYS),
        ref=" ".join(str(dice.randint(0, 9)) for _ in range(dice.randint(5, 10))),
        phone=" ".join(str(dice.randint(0, 9)) for _ in range(11)),
        postcode=f"{outward} {dice.randint(1, 9)} {dice.choice(letters)} {dice.choice(letters)}",
        spelled=", ".join(dice.choices(letters, k=dice.randint(4, 9))),
        day=dice.randint(1, 28),
        hour=dice.randint(8, 19),
        n1=dice.randint(0, 9),
        n2=dice.randint(11, 99),
        n3=dice.randint(100, 999),
        n4=dice.randint(1000, 9999),
    )


def passages(language: str, books: dict[str, list[str]], dice: random.Random, *, characters: int) -> Iterator[str]:
    """Yield, for ever, stretches of text in a language of espeak-ng, each of about so many characters.

    Args:
        language: Name of an espeak-ng voice, such as ``en-gb`` or ``de``.
        books: Further text by the first two letters of the language, from `read_books`; used in every second stretch.
        dice: Where the choices come from.
        characters: Least length of a stretch.
    """
    templates = _ENGLISH if language.startswith("en") else _OTHERS.get(language, _NUMBERS)
    book = books.get(language[:2], [])
    while True:
        parts: list[str] = []
        takes_book = bool(book) and dice.random() < 0.5
        while sum(map(len, parts)) < characters:
            parts.append(dice.choice(book) if takes_book else _filled(dice.choice(templates), dice))
        yield "\n".join(parts)


def read_books(folder: Path, language: str) -> list[str]:
    """Return the sayings of the fortune files below a folder; files in another encoding are passed over."""
    if language not in {"en", "de", "fr", "es", "it", "pl", "cs", "ru"}:
        return []
    sayings: list[str] = []
    for path in sorted(folder.glob("usr/share/games/fortunes/**/*")):
        if path.suffix or not path.is_file() or path.is_symlink():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        sayings += [saying.strip() for saying in _FORTUNE.split(text) if 20 < len(saying) < 1500]
    return sayings
