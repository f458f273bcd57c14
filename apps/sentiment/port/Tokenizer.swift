import Foundation

let PAD: Int32 = 0, START: Int32 = 1, UNKNOWN: Int32 = 2

/// Patterns and their replacements. They are applied in this order before the text is split at spaces.
let REWRITES = [$rewrites]

/// Converts a text to `length` ids.
///
/// If the text has more ids, the first `front` and the last `length - front` ids are kept. If the text has fewer ids, PAD is
/// appended.
/// A text without a known word is read as an empty text.
/// Words are compared by their bytes, because Swift's comparison of strings treats é as equal to e with a combining accent.
/// When Swift converts a text to lower case, the Greek Σ at the end of a word may become σ. The vocabulary contains ς instead,
/// so the word may become UNKNOWN.
func tokenize(_ text: String, vocabulary: [[UInt8]: Int32], length: Int, front: Int) -> [Int32] {
    var spaced = $cased
    for (pattern, replacement) in REWRITES {
        spaced = spaced.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
    }
    let words = spaced.utf8.split(separator: UInt8(ascii: " ")).map { Array($$0) }
    var ids = [START] + words.flatMap { idsOf($$0, vocabulary) }
    if ids.count > length {
        ids = Array(ids.prefix(front)) + Array(ids.suffix(length - front))
    }
    if ids.dropFirst().allSatisfy({ $$0 == UNKNOWN }) {
        ids = [START]
    }
    return ids + [Int32](repeating: PAD, count: length - ids.count)
}

/// Returns the ids of a word.
func idsOf(_ word: [UInt8], _ vocabulary: [[UInt8]: Int32]) -> [Int32] {
    $ids
}

/// Reads the content of vocab.txt, in which the token with id `i` is on line `i`, counted from 0.
func readVocabulary(_ text: String) -> [[UInt8]: Int32] {
    let lines = text.utf8.split(separator: UInt8(ascii: "\n")).map { Array($$0) }
    return Dictionary(uniqueKeysWithValues: zip(lines, (0 as Int32)...))
}
