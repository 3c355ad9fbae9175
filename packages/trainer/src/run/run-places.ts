import { join } from 'node:path'
import { listCheckpoints } from '../checkpoint/load-checkpoint.js'

/** Where a run keeps what. */
export interface RunPlaces {
  /** Folder of the checkpoints. */
  readonly checkpoints: string
  /** Folder of the best head so far, as it is published. */
  readonly best: string
  /** JSONL, one line an event. */
  readonly log: string
  /** What a later sitting has to know besides a checkpoint. */
  readonly notes: string
  /** The page that shows the log. */
  readonly report: string
}

export function runPlaces(folder: string): RunPlaces {
  return {
    checkpoints: join(folder, 'checkpoints'),
    best: join(folder, 'best'),
    log: join(folder, 'log.jsonl'),
    notes: join(folder, 'run.json'),
    report: join(folder, 'report.html'),
  }
}

/** Whether a folder holds a run that can be resumed, or could be were its checkpoints not damaged. */
export async function holdsRun(folder: string): Promise<boolean> {
  return (await listCheckpoints(runPlaces(folder).checkpoints)).length > 0
}
