"""Generates reviews with a grammar. The label of a review depends on the order of its words.

A review consists of one decisive sentence among neutral sentences. The decisive sentence is generated from a
``Construction`` with one or two claims. The meaning of this sentence is a number. If the number is positive,
the label is "positive". Otherwise, the label is "negative". The number is computed in two steps:

- A claim describes an aspect, such as the plot, with an adjective or a noun. The ``Form`` of the claim has a
  factor. The meaning of the claim is this factor times the polarity of the word, +1 or -1. The factor is 2
  for a plain claim, 1 for "slightly", 3 for "extremely", and -1 for a negated claim. For nouns, the factor is
  2 for "had charm", -2 for "without charm", and 1 for "not without charm".
- The construction computes the meaning of the sentence from the meanings of its claims. "A, but B" and
  "although A, B" mean B. "It is not true that A" means -A. A sentence can also contain a slight claim
  and an extreme claim. The meaning of such a sentence is the sum of the meanings of both claims, so the
  extreme claim decides. The meanings of two claims in one sentence always have opposite signs.

Neutral sentences also contain negations, contrasts and degrees. The words before a claim can also contain
them, for example "I do not know why, but". These words have no effect on the label.

Each review has a ``combination``, a tuple that describes its decisive sentence. A sentence with one claim has
the tuple ``(construction, aspect, word)``. A sentence with two claims has ``(construction, word, word)``. In
both tuples, ``construction`` is a key of ``CONSTRUCTIONS``. The two words have the same order as the two
arguments of ``Construction.meaning``.

A hash of the seed and the combination determines the split of the review. Therefore, a combination
that occurs in validation or test never occurs in training. However, all words and all constructions of
validation and test also occur in training.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

SIZES = {"train": 20_000, "valid": 2_000, "test": 2_000}
LABELS = {-1: "negative", 1: "positive"}

# Positive and negative adjectives for each kind of aspect. Adjectives under "any" fit every kind.
ADJECTIVES = {
    "any": ("good pleasant impressive satisfying", "bad poor disappointing annoying"),
    "story": ("gripping moving clever original charming", "dull boring silly tedious predictable"),
    "performance": ("graceful lively charming polished", "clumsy dull boring lifeless"),
    "food": ("tasty delicious fresh", "bland greasy stale"),
    "service": ("friendly polite attentive", "rude careless slow"),
    "place": ("comfortable clean cheerful", "dirty noisy shabby"),
    "device": ("reliable sturdy fast", "flimsy unreliable slow"),
}
# Positive and negative adjectives that are too strong to follow "slightly" or "extremely".
EXTREMES = ("great excellent wonderful superb fantastic", "terrible awful horrible dreadful appalling")
NOUNS = ("charm merit appeal character", "faults flaws problems weaknesses")

# Aspects of each domain, grouped by kind. The kinds, such as "story", are keys of ADJECTIVES.
ASPECTS = {
    "film": {"story": "film plot dialogue", "performance": "acting music direction"},
    "movie": {"story": "movie story ending", "performance": "cast photography"},
    "book": {"story": "book plot opening", "performance": "writing translation"},
    "play": {"story": "play story dialogue", "performance": "acting singing staging"},
    "restaurant": {"food": "food soup bread dessert", "service": "service waiter", "place": "terrace"},
    "hotel": {"food": "breakfast coffee", "service": "staff", "place": "hotel room garden"},
    "phone": {"device": "phone camera screen battery keyboard", "service": "support"},
}

# Neutral sentences for reviews of every domain. NEUTRAL contains additional sentences for each domain.
ANYWHERE = (
    "It was raining, but we went anyway.",
    "I am not an expert.",
    "My sister came with me.",
    "Nobody had told me what to expect.",
    "It was a very long day.",
    "I don't write reviews very often.",
    "Although it was late, I took a few notes.",
    "I had never tried anything like it before.",
    "A friend had asked me to report on it.",
    "The price was neither high nor low.",
    "It wasn't my idea.",
    "I was slightly late and extremely tired that day.",
)
NEUTRAL = {
    "film": ("We saw it on a Friday evening.", "It runs for two hours.", "Not one seat was empty."),
    "movie": ("I watched it at home.", "It runs for two hours.", "I hadn't seen the first part."),
    "book": ("I read it on the train.", "It has three hundred pages.", "It's not the author's first."),
    "play": ("We sat in the second row.", "There was no break.", "They have played it since March."),
    "restaurant": ("We had not booked a table.", "There were four of us.", "It's near the old station."),
    "hotel": (
        "We stayed for three nights.",
        "It's not far from the station.",
        "We came by train, not by car.",
    ),
    "phone": ("I bought it in March.", "I do not play games on it.", "It came without a charger."),
}
PEOPLE = ("my brother", "my sister", "a friend", "a neighbor", "one critic", "a colleague")
ASIDES = ("on the whole", "all in all", "as it happens", "to be fair", "as far as I could see", "by the way")


@dataclass(frozen=True)
class Form:
    """The form of a claim: a factor and templates such as "{subject} was not {word}".

    The meaning of the claim is ``factor`` times the polarity of the word.
    """

    factor: int
    words: str  # kind of words: "adjectives", "gradable" (adjectives without EXTREMES) or "nouns"
    templates: tuple[str, ...]


FORMS = {
    "plain": Form(
        2,
        "adjectives",
        (
            "{subject} was {word}",
            "{subject} was, {aside}, {word}",
            "{subject}, {aside}, was {word}",
            "{subject} seemed {word} to all of us",
        ),
    ),
    "slight": Form(
        1, "gradable", ("{subject} was slightly {word}", "{subject} was, {aside}, somewhat {word}")
    ),
    "extreme": Form(3, "gradable", ("{subject} was extremely {word}", "{subject} was, {aside}, very {word}")),
    "negated": Form(
        -1,
        "adjectives",
        (
            "{subject} was not {word}",
            "{subject} wasn't, {aside}, {word}",
            "{subject} was never {word}",
            "{subject} was anything but {word}",
            "{subject} was by no means {word}",
            "nothing about {subject} was {word}",
        ),
    ),
    "present": Form(2, "nouns", ("{subject} had {word}", "{subject} had, {aside}, its {word}")),
    "absent": Form(-2, "nouns", ("{subject} was without {word}", "{subject} had, {aside}, no {word}")),
    "litotes": Form(
        1, "nouns", ("{subject} was not without {word}", "{subject} wasn't, {aside}, without {word}")
    ),
}


@dataclass(frozen=True)
class Construction:
    """A kind of decisive sentence, such as a denial or a contrast. It has one or two claims."""

    share: int  # relative frequency among all constructions
    claims: tuple[tuple[str, ...], ...]  # the allowed forms of each claim
    templates: tuple[str, ...]
    meaning: Callable[..., int]  # computes the meaning of the sentence from the meanings of its claims
    same_aspect: bool = False  # if True, both claims are about the same aspect, and the second uses "it"


STATEMENTS = ("{first}", "I must say that {first}", "if you ask me, {first}", "the truth is that {first}")
DENIALS = (
    "I would not say that {first}",
    "it is not true that {first}",
    "nobody could say that {first}",
    "{person} said that {first}, and that is false",
    "{person}, who was wrong, said that {first}",
)
AFFIRMED = ("plain", "present")
GRADED = (*AFFIRMED, "slight", "extreme")
NEGATED = ("negated", "absent")
ANY = (*AFFIRMED, *NEGATED, "litotes")

CONSTRUCTIONS = {
    "statement": Construction(10, (GRADED,), STATEMENTS, lambda claim: claim),
    "negation": Construction(12, (NEGATED,), STATEMENTS, lambda claim: claim),
    "litotes": Construction(4, (("litotes",),), STATEMENTS, lambda claim: claim),
    "unrelated negation": Construction(
        8,
        (GRADED,),
        (
            "not that it matters to you, but {first}",
            "I do not know why, but {first}",
            "not knowing what to expect, I noticed at once that {first}",
            "it did not take me long to see that {first}",
            "nobody asked me, and yet {first}",
        ),
        lambda claim: claim,
    ),
    "affirmation": Construction(
        8,
        (AFFIRMED,),
        (
            "nobody can deny that {first}",
            "there is no doubt that {first}",
            "it is true, whatever you may hear, that {first}",
            "{person} said that {first}, and that is true",
            "{person}, who was right, said that {first}",
        ),
        lambda claim: claim,
    ),
    "denial": Construction(10, (AFFIRMED,), DENIALS, lambda claim: -claim),
    "double negation": Construction(8, (NEGATED,), DENIALS, lambda claim: -claim),
    "contrast": Construction(
        12,
        (ANY, ANY),
        (
            "{first}, but {second}",
            "{first}; {second}, however, and that is what counts",
            "I admit that {first}, but I also saw that {second}",
            "{first}. Still, {second}",
            "yes, {first}, and yet {second}",
        ),
        lambda conceded, decisive: decisive,
    ),
    "concession": Construction(
        12,
        (ANY, ANY),
        (
            "although {first}, {second}",
            "{second}, although {first}",
            "{second}, even if I admit that {first}",
            "even though {first}, I saw that {second}",
            "granted that {first}, I still say that {second}",
        ),
        lambda conceded, decisive: decisive,
    ),
    "weighing": Construction(
        10,
        (("slight",), ("extreme",)),
        (
            "{first}, and {second}",
            "{second}, and {first}",
            "on the one hand, {first}; on the other hand, {second}",
            "on the one hand, {second}; on the other hand, {first}",
        ),
        lambda slight, extreme: slight + extreme,
    ),
    "report": Construction(
        8,
        (ANY, ANY),
        (
            "{person} had told me that {first}, but {second}",
            "I had read that {first}; the truth is that {second}",
            "{second}, although {person} had told me that {first}",
            "I saw for myself that {second}, whereas I had read that {first}",
        ),
        lambda hearsay, truth: truth,
        same_aspect=True,
    ),
    "change": Construction(
        6,
        (("plain", "negated"), ("plain", "negated")),
        (
            "at first {first}, but later {second}",
            "in the past {first}; these days, I can report, {second}",
            "in the end {second}, after a time when {first}",
        ),
        lambda before, after: after,
        same_aspect=True,
    ),
}


@dataclass(frozen=True)
class Review:
    """A generated review.

    Attributes:
        text: all sentences of the review.
        label: "positive" or "negative".
        construction: kind of the decisive sentence, a key of ``CONSTRUCTIONS``.
        combination: tuple that determines the split, see the docstring of this module.
    """

    text: str
    label: str
    construction: str
    combination: tuple[str, ...]


@dataclass(frozen=True)
class _Claim:
    aspect: str
    word: str
    form: Form
    polarity: int

    @property
    def meaning(self) -> int:
        return self.form.factor * self.polarity

    def say(self, random: Random, subject: str) -> str:
        template = random.choice(self.form.templates)
        return template.format(subject=subject, word=self.word, aside=random.choice(ASIDES))


@cache
def _words(words: str, kind: str, polarity: int) -> tuple[str, ...]:
    """Returns the words that fit an aspect of this kind and have this polarity, 1 or -1."""
    column = (1, -1).index(polarity)
    if words == "nouns":
        return tuple(NOUNS[column].split())
    extremes = EXTREMES[column] if words == "adjectives" else ""
    return tuple(f"{ADJECTIVES['any'][column]} {ADJECTIVES[kind][column]} {extremes}".split())


@cache
def _aspects(domain: str) -> tuple[tuple[str, str], ...]:
    """Returns the pairs (kind, aspect) for all aspects of a domain."""
    return tuple((kind, aspect) for kind, names in ASPECTS[domain].items() for aspect in names.split())


def _claim(random: Random, kind: str, aspect: str, forms: tuple[str, ...]) -> _Claim:
    form = FORMS[random.choice(forms)]
    polarity = random.choice((1, -1))
    return _Claim(aspect, random.choice(_words(form.words, kind, polarity)), form, polarity)


def _claims(random: Random, domain: str, construction: Construction) -> list[_Claim]:
    """Returns one claim, or two claims whose meanings have opposite signs."""
    count = len(construction.claims)
    aspects = random.sample(_aspects(domain), count)
    if construction.same_aspect:
        aspects = aspects[:1] * count
    while True:
        claims = [_claim(random, *aspect, forms) for aspect, forms in zip(aspects, construction.claims)]
        if count == 1 or claims[0].meaning * claims[1].meaning < 0:
            return claims


def _say(random: Random, construction: Construction, claims: list[_Claim]) -> str:
    """Returns the decisive sentence."""
    template = random.choice(construction.templates)
    subjects = [f"the {claim.aspect}" for claim in claims]
    if construction.same_aspect:
        said_last = 1 if template.index("{first}") < template.index("{second}") else 0
        subjects[said_last] = "it"
    parts = [claim.say(random, subject) for claim, subject in zip(claims, subjects)]
    text = template.format(first=parts[0], second=parts[-1], person=random.choice(PEOPLE))
    return f"{text[0].upper()}{text[1:]}."


def _review(random: Random) -> Review:
    name = random.choices(list(CONSTRUCTIONS), [each.share for each in CONSTRUCTIONS.values()])[0]
    domain = random.choice(list(ASPECTS))
    claims = _claims(random, domain, CONSTRUCTIONS[name])
    meaning = CONSTRUCTIONS[name].meaning(*(claim.meaning for claim in claims))
    sentences = random.sample(NEUTRAL[domain] + ANYWHERE, random.choice((0, 0, 0, 1, 1, 2, 3, 4)))
    sentences.insert(random.randint(0, len(sentences)), _say(random, CONSTRUCTIONS[name], claims))
    words = [claim.word for claim in claims]
    combination = (name, *words) if len(words) == 2 else (name, claims[0].aspect, *words)
    return Review(" ".join(sentences), LABELS[1 if meaning > 0 else -1], name, combination)


@cache
def _split(combination: tuple[str, ...], seed: int) -> str:
    """Returns the split of a combination. A tenth of all combinations is in valid, and a tenth is in test."""
    digest = hashlib.blake2b(repr((seed, combination)).encode(), digest_size=8).digest()
    return ("valid", "test", *["train"] * 8)[int.from_bytes(digest) % 10]


def reviews(seed: int = 0) -> dict[str, list[Review]]:
    """Returns 20,000 training, 2,000 validation and 2,000 test reviews, by split.

    All texts are different. In each split, half of the reviews are positive.
    """
    random = Random(seed)
    result: dict[str, list[Review]] = {split: [] for split in SIZES}
    missing = {(split, label): size // 2 for split, size in SIZES.items() for label in LABELS.values()}
    seen: set[str] = set()
    while any(missing.values()):
        review = _review(random)
        split = _split(review.combination, seed)
        if missing[split, review.label] and review.text not in seen:
            missing[split, review.label] -= 1
            seen.add(review.text)
            result[split].append(review)
    return result


def splits(seed: int = 0) -> dict[str, list[tuple[str, str]]]:
    """Returns the pairs (text, label) of all reviews, for "train", "valid" and "test"."""
    return {split: [(review.text, review.label) for review in rows] for split, rows in reviews(seed).items()}
