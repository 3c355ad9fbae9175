/** Absolute path of the target's weights, vocabulary and chat template: one GGUF file of 98 MB. */
export declare const modelPath: string
