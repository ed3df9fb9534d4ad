"""Tables from codes to words, by subject. Pure data; `recorder.rules.wording` reads them."""
