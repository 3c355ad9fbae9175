/** Absolute path of the target's weights, vocabulary and chat template: one GGUF file of 98 MB. */
export declare const modelPath: string
/** Absolute path of the folder of the target's draft head, in the layout that HASS publishes: 9 MB. */
export declare const headPath: string
