/** The id of a vocabulary entry: an integer in `[0, vocabSize)`. */
export type Token = number
