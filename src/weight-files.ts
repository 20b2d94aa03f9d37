// What the files of a checkpoint's weights are called, as Hugging Face's own tools have it.

/** The only file of weights, where there are no shards. */
export const WEIGHTS = 'model.safetensors'
/** Which tensor is in which shard. */
export const INDEX = 'model.safetensors.index.json'

/** A shard that an index may name: a file of the same folder, no separators and no leading dot. */
export const SHARD_NAME = /^\w[\w.-]*\.safetensors$/
