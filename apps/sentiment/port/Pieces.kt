// The word is split from the left into the longest pieces in the vocabulary. All pieces except the first have the prefix ## there.
    val points = word.codePoints().toArray()
    if (points.size > 100) return listOf(UNKNOWN)
    val ids = mutableListOf<Int>()
    var start = 0
    while (start < points.size) {
        val prefix = if (start > 0) "##" else ""
        var end = points.size
        while (end > start && prefix + String(points, start, end - start) !in vocabulary) end -= 1
        if (end == start) return listOf(UNKNOWN)
        ids.add(vocabulary.getValue(prefix + String(points, start, end - start)))
        start = end
    }
    return ids
