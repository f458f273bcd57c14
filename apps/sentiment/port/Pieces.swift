// The word is split from the left into the longest pieces in the vocabulary. All pieces except the first have the prefix ## there.
    let scalars = Array(String(decoding: word, as: UTF8.self).unicodeScalars)
    if scalars.count > 100 { return [UNKNOWN] }
    var ids: [Int32] = []
    var start = 0
    while start < scalars.count {
        let prefix = start > 0 ? "##" : ""
        var end = scalars.count
        var id: Int32? = nil
        while end > start {
            var piece = String.UnicodeScalarView()
            piece.append(contentsOf: scalars[start..<end])
            id = vocabulary[Array((prefix + String(piece)).utf8)]
            if id != nil { break }
            end -= 1
        }
        guard let found = id else { return [UNKNOWN] }
        ids.append(found)
        start = end
    }
    return ids
