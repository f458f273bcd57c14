"""Generates English sentences together with their French translations from one grammar.

Every rule of the grammar generates both languages at once (a synchronous grammar; Aho and Ullman 1969). The
translation and the alignment of the words are therefore known. A word-by-word
translation would be wrong, because French has these rules:

- Agreement: articles, adjectives, participles and verbs have the gender, number and person of their noun.
- Word order: most adjectives follow the noun, and some precede it. Object pronouns precede the verb. The
  possessor follows the possession ("the doctor's cat", "le chat du médecin").
- Negation: two words surround the verb. An indefinite object of a negated verb has "de" as its article.
- Elision: before a vowel, words such as "le" and "que" become "l'" and "qu'".
- Contraction: "de le" becomes "du".
- Forms before a vowel: "ce", "ma" and "vieux" become "cet", "mon" and "vieil".

Nested clauses make some sentences long.

Every English sentence has exactly one translation: "you" is always "tu", "they" is always "ils".
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

LANGUAGES = ("en", "fr")
SIZES = {"train": 50_000, "valid": 2_000, "test": 2_000}

# Each noun has five entries: English singular, English plural, French singular, French plural, and gender.
PEOPLE = """
cat cats chat chats m | dog dogs chien chiens m | friend friends ami amis m
doctor doctors médecin médecins m | teacher teachers professeur professeurs m
child children enfant enfants m | woman women femme femmes f | girl girls fille filles f
actress actresses actrice actrices f | queen queens reine reines f | mouse mice souris souris f
bird birds oiseau oiseaux m | student students étudiant étudiants m | horse horses cheval chevaux m
boy boys garçon garçons m | nurse nurses infirmière infirmières f
"""
THINGS = """
house houses maison maisons f | car cars voiture voitures f | book books livre livres m
apple apples pomme pommes f | tree trees arbre arbres m | school schools école écoles f
boat boats bateau bateaux m | flower flowers fleur fleurs f | orange oranges orange oranges f
letter letters lettre lettres f | island islands île îles f | hotel hotels hôtel hôtels m
newspaper newspapers journal journaux m | umbrella umbrellas parapluie parapluies m
hat hats chapeau chapeaux m | clock clocks horloge horloges f | box boxes boîte boîtes f
key keys clé clés f
"""
PLACES = """
garden gardens jardin jardins m | city cities ville villes f | forest forests forêt forêts f
train trains train trains m | office offices bureau bureaux m | street streets rue rues f
"""

# Each adjective has six entries: the English word and five French forms. The French forms are masculine
# singular, feminine singular, masculine plural, feminine plural, and masculine singular before a vowel.
# In French, the adjectives in BEFORE precede the noun.
BEFORE = """
small petit petite petits petites petit | big grand grande grands grandes grand
old vieux vieille vieux vieilles vieil | new nouveau nouvelle nouveaux nouvelles nouvel
beautiful beau belle beaux belles bel | young jeune jeune jeunes jeunes jeune
"""
AFTER = """
red rouge rouge rouges rouges rouge | black noir noire noirs noires noir
white blanc blanche blancs blanches blanc | green vert verte verts vertes vert
blue bleu bleue bleus bleues bleu | slow lent lente lents lentes lent
happy heureux heureuse heureux heureuses heureux | strange étrange étrange étranges étranges étrange
quiet tranquille tranquille tranquilles tranquilles tranquille | strong fort forte forts fortes fort
"""

# Each verb has three English forms before the colon: base form, third person and past. After the colon, a
# regular French -er verb has only its stem. Every other French verb has five present forms, the participle
# and the future stem.
TRANSITIVE = """
watch watches watched : regard | look_for looks_for looked_for : cherch | love loves loved : aim
find finds found : trouv | carry carries carried : port | draw draws drew : dessin
admire admires admired : admir | listen_to listens_to listened_to : écout | invite invites invited : invit
forget forgets forgot : oubli | wash washes washed : lav
see sees saw : vois vois voit voyons voient vu verr
take takes took : prends prends prend prenons prennent pris prendr
sell sells sold : vends vends vend vendons vendent vendu vendr
wait_for waits_for waited_for : attends attends attend attendons attendent attendu attendr
lose loses lost : perds perds perd perdons perdent perdu perdr
choose chooses chose : choisis choisis choisit choisissons choisissent choisi choisir
"""
INTRANSITIVE = """
sleep sleeps slept : dors dors dort dormons dorment dormi dormir | work works worked : travaill
sing sings sang : chant | dance dances danced : dans
laugh laughs laughed : ris ris rit rions rient ri rir | speak speaks spoke : parl
"""
THOUGHT = """
think thinks thought : pens | know knows knew : sais sais sait savons savent su saur
say says said : dis dis dit disons disent dit dir
believe believes believed : crois crois croit croyons croient cru croir
"""
BE = (("am", "are", "is", "are", "are"), ("suis", "es", "est", "sommes", "sont"))
HAVE = ("ai", "as", "a", "avons", "ont")
FUTURE = ("ai", "as", "a", "ons", "ont")
PRONOUNS = (("I", "je"), ("you", "tu"), ("he", "il"), ("she", "elle"), ("we", "nous"), ("they", "ils"))
OBJECTS = (("him", "le", ""), ("her", "la", "e"), ("them", "les", "s"))
NAMES = (("Paul", "m"), ("Anna", "f"), ("Omar", "m"), ("Claire", "f"), ("Hugo", "m"), ("Emma", "f"))
TIMES = {
    "past": (("yesterday", "hier"), ("last night", "hier soir")),
    "present": (("now", "maintenant"), ("often", "souvent")),
    "future": (("tomorrow", "demain"), ("soon", "bientôt")),
}
CONJUNCTIONS = (("and", "et"), ("but", "mais"), ("because", "parce que"), ("when", "quand"))
ELIDED = {"le": "l'", "la": "l'", "je": "j'", "ne": "n'", "de": "d'", "que": "qu'"}
VOWELS = "aeiouâàéèêëîïôûh"  # every h of the vocabulary is mute


@dataclass(frozen=True)
class Sentence:
    """An English sentence, its French translation and their word alignment.

    Attributes:
        english, french: words of the sentences. ``texts`` joins the words with spaces. It writes no space
            before ".", before "'s", and after a word such as "l'".
        links: pairs (index of the English word, index of the French word). Every French word has at least one
            link.
    """

    english: tuple[str, ...]
    french: tuple[str, ...]
    links: frozenset[tuple[int, int]]

    @property
    def texts(self) -> tuple[str, str]:
        """The English text and the French text."""
        return written(self.english), written(self.french)


def written(words: Sequence[str]) -> str:
    """Joins the words to a text that starts with a capital letter."""
    text = words[0]
    for before, word in pairwise(words):
        joined = word[0] in "'." or before.endswith("'")
        text += word if joined else f" {word}"
    return text[0].upper() + text[1:]


@dataclass(frozen=True)
class _Word:
    """A word and the integer ids of its meanings.

    An English word and a French word are linked if they have an id in common.
    """

    text: str
    says: frozenset[int]


@dataclass
class _Phrase:
    """A phrase in both languages. Other words must agree with its gender and its person."""

    english: list[_Word]
    french: list[_Word]
    gender: str = "m"
    person: int = 2  # index of the verb form in the order I, you, he, we, they

    @property
    def plural(self) -> bool:
        return self.person >= 3


@dataclass(frozen=True)
class _Verb:
    base: str
    third: str
    past: str
    present: tuple[str, ...]
    participle: str
    future: str


def _entries(table: str) -> list[list[str]]:
    return [entry.split() for line in table.strip().splitlines() for entry in line.split("|")]


def _verbs(table: str) -> list[_Verb]:
    verbs = []
    for entry in _entries(table):
        english, french = [word.replace("_", " ") for word in entry[:3]], entry[4:]
        if len(french) == 1:
            stem = french[0]
            endings = ("e", "es", "e", "ons", "ent", "é", "er")
            french = [stem + ending for ending in endings]
        base, third, past = english
        verbs.append(_Verb(base, third, past, tuple(french[:5]), french[5], french[6]))
    return verbs


_NOUNS = {"people": _entries(PEOPLE), "things": _entries(THINGS), "places": _entries(PLACES)}
_BEFORE, _AFTER = _entries(BEFORE), _entries(AFTER)
_TRANSITIVE, _INTRANSITIVE, _THOUGHT = _verbs(TRANSITIVE), _verbs(INTRANSITIVE), _verbs(THOUGHT)


def _vowel(word: str) -> bool:
    return word[0].lower() in VOWELS


class _Writer:
    """Samples phrases in both languages. Assigns an integer id to the meaning of each word."""

    def __init__(self, random: Random):
        self.random = random
        self.said = 0

    def word(self, english: str, french: str) -> tuple[list[_Word], list[_Word]]:
        """Returns an expression in both languages. Every English word is linked with every French word."""
        self.said += 1
        says = frozenset({self.said})
        return [_Word(part, says) for part in english.split()], [_Word(part, says) for part in french.split()]

    def maybe(self, share: float) -> bool:
        return self.random.random() < share

    def noun_phrase(self, kind: str, negated: bool = False, simple: bool = False) -> _Phrase:
        """Samples a determiner, adjectives and a noun.

        Args:
            kind: "people", "things" or "places".
            negated: If True, the phrase is the object of a negated verb.
            simple: If True, the phrase is singular, has no adjectives, and starts with "the" or "my".
        """
        random = self.random
        noun = random.choice(_NOUNS[kind])
        gender, plural = noun[4], self.maybe(0.3) and not simple
        feminine = gender == "f"
        before = random.choice(_BEFORE) if self.maybe(0.3) and not simple else None
        after = random.choice(_AFTER) if self.maybe(0.3) and not simple else None

        def agreeing(adjective: list[str]) -> str:
            return adjective[1 + feminine + 2 * plural]

        noun_words = self.word(noun[plural], noun[2 + plural])
        front, back = [], []
        english: list[_Word] = []
        if before:
            form = agreeing(before)
            if not plural and not feminine and _vowel(noun[2]):
                form = before[5]
            words = self.word(before[0], form)
            english += words[0]
            front = words[1]
        if after:
            words = self.word(after[0], agreeing(after))
            english += words[0]
            back = words[1]
        english += noun_words[0]
        french = [*front, *noun_words[1], *back]
        kinds = ("the", "the", "my") if simple else ("the", "the", "a", "a", "this", "my")
        first = (english[0].text, french[0].text)
        own, its = self.determiner(random.choice(kinds), first, feminine, plural, negated, bool(front))
        return _Phrase([*own, *english], [*its, *french], gender, 4 if plural else 2)

    def determiner(
        self, kind: str, first: tuple[str, str], feminine: bool, plural: bool, negated: bool, fronted: bool
    ) -> tuple[list[_Word], list[_Word]]:
        """Returns the determiner of a noun phrase in both languages.

        Args:
            kind: English determiner: "the", "my", "this" or "a".
            first: English word and French word that follow the determiner.
            feminine: If True, the noun is feminine.
            plural: If True, the noun is plural.
            negated: If True, the phrase is the object of a negated verb.
            fronted: If True, a French adjective precedes the noun.
        """
        english, french = first
        vowel = _vowel(french)
        if kind == "the":
            return self.word("the", "les" if plural else "la" if feminine else "le")
        if kind == "my":
            return self.word("my", "mes" if plural else "ma" if feminine and not vowel else "mon")
        if kind == "this":
            masculine = "cet" if vowel else "ce"
            return self.word(
                "these" if plural else "this", "ces" if plural else "cette" if feminine else masculine
            )
        own = "some" if plural else "an" if english[0] in "aeiou" else "a"
        if negated or (plural and fronted):
            return self.word(own, "de")
        return self.word(own, "des" if plural else "une" if feminine else "un")

    def owned(self) -> _Phrase:
        """Samples a possessor and a possession, such as ``the doctor's cat``."""
        owner, thing = self.noun_phrase("people", simple=True), self.noun_phrase("things", simple=True)
        mark = self.word("'s", "de")
        # The French phrase "le chat du médecin" begins with an article that belongs to "chat". In "the
        # doctor's cat", "cat" has no article of its own. Therefore "le" is linked to "'s".
        article = _Word(thing.french[0].text, mark[0][0].says)
        if article.text not in ("le", "la"):
            article = _Word("la" if thing.gender == "f" else "le", article.says)
        english = [*owner.english, *mark[0], *thing.english[1:]]
        french = [article, *thing.french[1:], *mark[1], *owner.french]
        return _Phrase(english, french, thing.gender, 2)

    def subject(self, depth: int) -> _Phrase:
        kind = self.random.random()
        if kind < 0.25:
            index = self.random.randrange(len(PRONOUNS))
            person = (0, 1, 2, 2, 3, 4)[index]
            return _Phrase(*self.word(*PRONOUNS[index]), "f" if PRONOUNS[index][0] == "she" else "m", person)
        if kind < 0.4:
            name, gender = self.random.choice(NAMES)
            return _Phrase(*self.word(name, name), gender, 2)
        phrase = self.noun_phrase("people")
        if depth < 2 and self.maybe(0.25):
            that = self.word("that", "qui")
            english, french = self.predicate(phrase)
            phrase.english += [*that[0], *english]
            phrase.french += [*that[1], *french]
        return phrase

    def predicate(self, subject: _Phrase, tense: str = "") -> tuple[list[_Word], list[_Word]]:
        """Samples a verb that agrees with the subject, and sometimes an object and a negation."""
        random = self.random
        tense = tense or random.choice(("present", "past", "future"))
        negation = random.choice(("", "", "not", "never"))
        if tense == "present" and self.maybe(0.2):
            return self.being(subject, negation)
        if self.maybe(0.25):
            return self.verb(random.choice(_INTRANSITIVE), subject.person, tense, negation)
        verb = random.choice(_TRANSITIVE)
        if self.maybe(0.2):
            her, clitic, ending = random.choice(OBJECTS)
            words = self.word(her, clitic)
            ending = "" if verb.participle.endswith("s") and ending == "s" else ending
            english, french = self.verb(verb, subject.person, tense, negation, words[1], ending)
            return [*english, *words[0]], french
        kind = random.choice(("people", "things", "things"))
        thing = self.owned() if self.maybe(0.2) else self.noun_phrase(kind, negated=bool(negation))
        english, french = self.verb(verb, subject.person, tense, negation)
        return [*english, *thing.english], [*french, *thing.french]

    def being(self, subject: _Phrase, negation: str) -> tuple[list[_Word], list[_Word]]:
        """Samples a form of "be" with an adjective, such as ``is not happy``."""
        adjective = self.random.choice(_AFTER)
        quality = self.word(adjective[0], adjective[1 + (subject.gender == "f") + 2 * subject.plural])
        is_, est = self.word(BE[0][subject.person], BE[1][subject.person])
        ne, pas, english = self.negation(negation)
        return [*is_, *english, *quality[0]], [*ne, *est, *pas, *quality[1]]

    def negation(self, negation: str) -> tuple[list[_Word], list[_Word], list[_Word]]:
        """Returns the French words before and after the verb, and the English negation.

        For ``not``, these are ``ne``, ``pas`` and ``not``. Without negation, all lists are empty.
        """
        if not negation:
            return [], [], []
        english, (ne, pas) = self.word(negation, "ne pas" if negation == "not" else "ne jamais")
        return [ne], [pas], english

    def verb(
        self,
        verb: _Verb,
        person: int,
        tense: str,
        negation: str,
        clitic: Sequence[_Word] = (),
        ending: str = "",
    ) -> tuple[list[_Word], list[_Word]]:
        """Returns the verb with its auxiliaries and its negation, in both languages.

        ``clitic`` is an object pronoun that precedes the French verb. ``ending`` is the ending of the French
        participle, which agrees with this pronoun.
        """
        ne, pas, english_negation = self.negation(negation)
        helped = negation == "not"
        if tense == "present":
            base = verb.third if person == 2 else verb.base
            own, french = self.word(verb.base if helped else base, verb.present[person])
            help = "does" if person == 2 else "do"
            finite, rest = french, []
        elif tense == "past":
            own, french = self.word(
                verb.base if helped else verb.past, f"{HAVE[person]} {verb.participle}{ending}"
            )
            help = "did"
            finite, rest = french[:1], french[1:]
        else:
            will, _ = self.word("will", "")
            own, french = self.word(verb.base, verb.future + FUTURE[person])
            # The ending of the French verb translates "will".
            french = [_Word(french[0].text, french[0].says | will[0].says)]
            return [*will, *english_negation, *own], [*ne, *clitic, *french, *pas]
        do = [_Word(help, own[0].says)] if helped else []
        return [*do, *english_negation, *own], [*ne, *clitic, *finite, *pas, *rest]

    def clause(self, depth: int) -> _Phrase:
        """Samples a subject and a predicate, and sometimes a place and a time.

        In some clauses, a verb of thought and a nested clause follow the subject ("he thinks that ..."). The
        outer clause then has no object, place or time.
        """
        random = self.random
        subject = self.subject(depth)
        if depth < 2 and self.maybe(0.15):
            english, french = self.verb(
                random.choice(_THOUGHT), subject.person, "present", random.choice(("", "not"))
            )
            that, inner = self.word("that", "que"), self.clause(depth + 1)
            return _Phrase(
                [*subject.english, *english, *that[0], *inner.english],
                [*subject.french, *french, *that[1], *inner.french],
            )
        tense = random.choice(tuple(TIMES))
        english, french = self.predicate(subject, tense)
        english, french = [*subject.english, *english], [*subject.french, *french]
        if self.maybe(0.25):
            place, within = self.noun_phrase("places", simple=self.maybe(0.5)), self.word("in", "dans")
            english += [*within[0], *place.english]
            french += [*within[1], *place.french]
        if self.maybe(0.2):
            time = self.word(*random.choice(TIMES[tense]))
            english += time[0]
            french += time[1]
        return _Phrase(english, french)

    def sentence(self) -> Sentence:
        """Samples one or more clauses and a full stop."""
        whole = self.clause(0)
        while self.maybe(0.25) and len(whole.english) < 25:
            joint, other = self.word(*self.random.choice(CONJUNCTIONS)), self.clause(1)
            whole.english += [*joint[0], *other.english]
            whole.french += [*joint[1], *other.french]
        stop = self.word(".", ".")
        english, french = [*whole.english, *stop[0]], _elided([*whole.french, *stop[1]])
        links = {
            (i, j) for j, its in enumerate(french) for i, own in enumerate(english) if own.says & its.says
        }
        return Sentence(
            tuple(word.text for word in english), tuple(word.text for word in french), frozenset(links)
        )


def _elided(words: list[_Word]) -> list[_Word]:
    """Applies elision (``le ami`` to ``l' ami``) and contraction (``de le chat`` to ``du chat``)."""
    result: list[_Word] = []
    for word, after in zip(words, [*words[1:], None]):
        if after is not None and word.text in ELIDED and _vowel(after.text):
            word = _Word(ELIDED[word.text], word.says)
        elif word.text == "le" and result and result[-1].text == "de":
            word = _Word("du", result.pop().says | word.says)
        result.append(word)
    return result


@cache
def sentences(seed: int = 0) -> dict[str, tuple[Sentence, ...]]:
    """Samples the sentences of each split. `SIZES` contains the number of sentences per split.

    All English sentences differ. Each English sentence has one translation.
    """
    writer = _Writer(Random(seed))
    result: dict[str, list[Sentence]] = {split: [] for split in SIZES}
    seen: set[tuple[str, ...]] = set()
    while any(len(result[split]) < size for split, size in SIZES.items()):
        sentence = writer.sentence()
        digest = hashlib.blake2b(" ".join(sentence.english).encode(), digest_size=8).digest()
        split = ("valid", "test", *["train"] * 18)[int.from_bytes(digest) % 20]
        if len(result[split]) < SIZES[split] and sentence.english not in seen:
            seen.add(sentence.english)
            result[split].append(sentence)
    return {split: tuple(rows) for split, rows in result.items()}


def splits(seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Returns the (English, French) texts of ``sentences(seed)`` for "train", "valid" and "test"."""
    return {split: [sentence.texts for sentence in rows] for split, rows in sentences(seed).items()}
