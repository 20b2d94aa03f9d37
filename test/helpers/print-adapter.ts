// Opens a device as the server does and prints its name and where the Vulkan driver came from.
import { readFileSync } from 'node:fs'
import { openGpu } from '../../src/gpu/device.ts'

try {
  const gpu = await openGpu({ adapter: process.argv[2] })
  const maps = readFileSync('/proc/self/maps', 'utf8')
  const driver = /\S*libvk_swiftshader\.so/.exec(maps)?.[0]
  console.log(JSON.stringify({ name: gpu.adapter.name, driver }))
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }))
}
process.exit(0)
