import { HassError } from '@hass-engine/core'

/** `HASS_ERR_DATA_SET`: a data set cannot be found, fetched or read; `details` names file and line. */
export class DataSetError extends HassError {
  override readonly name = 'DataSetError'
  constructor(message: string, details: Readonly<Record<string, unknown>>, cause?: unknown) {
    super('HASS_ERR_DATA_SET', message, { details, ...(cause !== undefined && { cause }) })
  }
}

/** `HASS_ERR_RESULTS_FILE`: a file of results cannot be read, or is none. */
export class ResultsFileError extends HassError {
  override readonly name = 'ResultsFileError'
  constructor(message: string, details: Readonly<Record<string, unknown>>, cause?: unknown) {
    super('HASS_ERR_RESULTS_FILE', message, { details, ...(cause !== undefined && { cause }) })
  }
}

/** `HASS_ERR_RESULTS_MISMATCH`: results were measured with other settings; `details.differences` lists them. */
export class ResultsMismatchError extends HassError {
  override readonly name = 'ResultsMismatchError'
  constructor(path: string, differences: readonly string[]) {
    super(
      'HASS_ERR_RESULTS_MISMATCH',
      `${path} holds results of other settings (${differences.join('; ')}): go on with those, or name another file.`,
      { details: { path, differences } },
    )
  }
}
