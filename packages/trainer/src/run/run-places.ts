import { join } from 'node:path'
import { listCheckpoints } from '../checkpoint/load-checkpoint.js'

/** Where a run keeps what. */
export interface RunPlaces {
  /** Folder of the checkpoints. */
  readonly checkpoints: string
  /** JSONL, one line an event. */
  readonly log: string
  /** The page that shows the log. */
  readonly report: string
}

export function runPlaces(folder: string): RunPlaces {
  return {
    checkpoints: join(folder, 'checkpoints'),
    log: join(folder, 'log.jsonl'),
    report: join(folder, 'report.html'),
  }
}

/** Whether a folder holds a run that can be resumed, or could be were its checkpoints not damaged. */
export async function holdsRun(folder: string): Promise<boolean> {
  return (await listCheckpoints(runPlaces(folder).checkpoints)).length > 0
}
