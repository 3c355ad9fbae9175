/** How a command ended that did not throw: its exit status. */
export interface Outcome {
  status: number
}
