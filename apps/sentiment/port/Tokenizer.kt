import java.util.Locale

const val PAD = 0
const val START = 1
const val UNKNOWN = 2

/** What is rewritten, in this order, before words are cut at spaces. */
val REWRITES = listOf($rewrites)

/** `length` ids; of a longer text the first `front` and the last `length - front`. */
fun tokenize(text: String, vocabulary: Map<String, Int>, length: Int, front: Int): IntArray {
    var spaced = $cased
    for ((pattern, replacement) in REWRITES) {
        spaced = spaced.replace(Regex(pattern), replacement)
    }
    val words = spaced.split(" ").filter { it.isNotEmpty() }
    var ids = listOf(START) + words.map { vocabulary[it] ?: UNKNOWN }
    if (ids.size > length) {
        ids = ids.take(front) + ids.takeLast(length - front)
    }
    return (ids + List(length - ids.size) { PAD }).toIntArray()
}

/** The content of vocab.txt: the token of id `i` is on line `i`, counted from 0. */
fun readVocabulary(text: String): Map<String, Int> =
    text.removeSuffix("\n").split("\n").withIndex().associate { (index, token) -> token to index }
