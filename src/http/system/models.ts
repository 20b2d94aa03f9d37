// The model that is served, under each of its names: /v1/models, and `model` in requests.

import { ApiError } from '../../errors.ts'
import type { ServedModel } from '../context.ts'

/** GET /v1/models: one entry per name that the model goes by. */
export function listModels(model: ServedModel): Response {
  return Response.json({ object: 'list', data: model.ids.map((id) => describeModel(id, model)) })
}

/** GET /v1/models/{id}; throws ApiError 404 for a name that is not served. */
export function retrieveModel(id: string, model: ServedModel): Response {
  return Response.json(describeModel(resolveModel(id, model), model))
}

/** The name to answer under; throws ApiError 404 if it is not one of the model's. */
export function resolveModel(asked: string | undefined, model: ServedModel): string {
  if (asked === undefined) return model.ids[0]
  if (model.ids.includes(asked)) return asked
  const name = JSON.stringify(asked.slice(0, 100))
  throw new ApiError(404, `model ${name} is not served here; served: ${model.ids.join(', ')}`, {
    param: 'model',
    code: 'model_not_found',
  })
}

function describeModel(id: string, model: ServedModel) {
  return {
    id,
    object: 'model',
    created: model.created,
    owned_by: 'glaze',
    max_model_len: model.maxModelLen,
    revision: model.revision,
  }
}
