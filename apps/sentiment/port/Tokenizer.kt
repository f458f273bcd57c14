import java.util.Locale

const val PAD = 0
const val START = 1
const val UNKNOWN = 2

/** Patterns and their replacements. They are applied in this order before the text is split at spaces. */
val REWRITES = listOf($rewrites)

/**
 * Converts a text to `length` ids.
 *
 * If the text has more ids, the first `front` and the last `length - front` ids are kept. If the text has fewer ids, PAD is
 * appended.
 * A text without a known word is read as an empty text.
 */
fun tokenize(text: String, vocabulary: Map<String, Int>, length: Int, front: Int): IntArray {
    var spaced = $cased
    for ((pattern, replacement) in REWRITES) {
        spaced = spaced.replace(Regex(pattern), replacement)
    }
    val words = spaced.split(" ").filter { it.isNotEmpty() }
    var ids = listOf(START) + words.flatMap { idsOf(it, vocabulary) }
    if (ids.size > length) {
        ids = ids.take(front) + ids.takeLast(length - front)
    }
    if (ids.drop(1).all { it == UNKNOWN }) {
        ids = listOf(START)
    }
    return (ids + List(length - ids.size) { PAD }).toIntArray()
}

/** Returns the ids of a word. */
fun idsOf(word: String, vocabulary: Map<String, Int>): List<Int> {
    $ids
}

/** Reads the content of vocab.txt, in which the token with id `i` is on line `i`, counted from 0. */
fun readVocabulary(text: String): Map<String, Int> =
    text.removeSuffix("\n").split("\n").withIndex().associate { (index, token) -> token to index }
