// The files of deploy/, compose.yaml and the Dockerfile, held against each other and the server: names
// that are typed twice drift.

import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import { version } from '../../package.json'
import { SERVE_OPTIONS } from '../../src/config.ts'
import { METRICS, PREFIX } from '../../src/metrics/table.ts'
import { testApp } from '../http/test-app.ts'

const ROOT = join(import.meta.dir, '../..')
/** YAML of unknown shape; a wrong guess fails the test that makes it. */
// biome-ignore lint/suspicious/noExplicitAny: files are what the tests are about
type Yaml = any

const read = async (file: string): Promise<Yaml> =>
  Bun.YAML.parse(await Bun.file(join(ROOT, file)).text())
const files = [...new Glob('deploy/**/*.yaml').scanSync(ROOT), 'compose.yaml'].sort()
const variables = new Set(
  Object.keys(SERVE_OPTIONS).map(
    (key) => `GLAZE_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
  ),
)
const flags = new Set([...variables].map((name) => flagOf(name)))

function flagOf(variable: string): string {
  return `--${variable.slice('GLAZE_'.length).toLowerCase().replaceAll('_', '-')}`
}

test.each(files)('%s is YAML, and names only options and metrics that exist', async (file) => {
  const text = await Bun.file(join(ROOT, file)).text()
  expect(Bun.YAML.parse(text)).toBeObject()
  // GLAZE_MODEL and GLAZE_MODELS of compose.yaml are its own.
  const named = text.match(/\bGLAZE_[A-Z_]+/g) ?? []
  const own = file === 'compose.yaml' ? ['GLAZE_MODELS'] : []
  expect(named.filter((name) => !variables.has(name) && !own.includes(name))).toEqual([])
  const metrics = text.match(/\bglaze_[a-z_]+/g) ?? []
  expect(metrics.filter((name) => !(name.slice(PREFIX.length) in METRICS))).toEqual([])
})

describe('kubernetes', async () => {
  const deployment = await read('deploy/kubernetes/deployment.yaml')
  const pod = deployment.spec.template.spec
  const [container] = pod.containers
  const env = new Map<string, string>(
    container.env.map(({ name, value }: Yaml) => [name, value] as const),
  )

  test('probes ask routes that need no key', async () => {
    const { app } = testApp()
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      const { path, port } = container[probe].httpGet
      expect((await app.request(path)).status).toBe(200)
      expect(container.ports.map(({ name }: Yaml) => name)).toContain(port)
    }
    expect(container.livenessProbe.httpGet.path).toBe('/health')
    expect(container.readinessProbe.httpGet.path).toBe('/ready')
  })

  test('a pod has the time that its requests may take', () => {
    const needed = Number(env.get('GLAZE_DRAIN_DELAY')) + Number(env.get('GLAZE_SHUTDOWN_TIMEOUT'))
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(needed)
  })

  test('a pod is not root and writes only where it is meant to', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 })
    expect(container.securityContext).toMatchObject({
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
      capabilities: { drop: ['ALL'] },
    })
    const mounts = new Map(container.volumeMounts.map((m: Yaml) => [m.mountPath, m.name]))
    expect([...mounts.keys()].sort()).toEqual(['/data', '/models', '/tmp'])
    const volumes = pod.volumes.map(({ name }: Yaml) => name)
    expect([...mounts.values()].sort()).toEqual(volumes.sort())
  })

  test('service, budget, monitor and scaler find the pods', async () => {
    const labels = deployment.spec.template.metadata.labels
    const [service, budget, monitor, scaler] = await Promise.all(
      ['service', 'disruption-budget', 'service-monitor', 'scaled-object'].map((name) =>
        read(`deploy/kubernetes/${name}.yaml`),
      ),
    )
    expect(deployment.spec.selector.matchLabels).toEqual(labels)
    expect(service.spec.selector).toEqual(labels)
    expect(budget.spec.selector.matchLabels).toEqual(labels)
    expect(monitor.spec.selector.matchLabels).toEqual(service.metadata.labels)
    expect(monitor.spec.endpoints[0].port).toBe(service.spec.ports[0].name)
    expect(service.spec.ports[0].targetPort).toBe(container.ports[0].name)
    expect(scaler.spec.scaleTargetRef.name).toBe(deployment.metadata.name)
  })

  test('every resource of kustomization.yaml is there, and the claim that pods mount', async () => {
    const { resources } = await read('deploy/kubernetes/kustomization.yaml')
    const all: Yaml[] = await Promise.all(
      resources.map((file: string) => read(`deploy/kubernetes/${file}`)),
    )
    const claims = all.filter(({ kind }) => kind === 'PersistentVolumeClaim')
    const models = pod.volumes.find(({ name }: Yaml) => name === 'models')
    expect(claims.map(({ metadata }) => metadata.name)).toEqual([
      models.persistentVolumeClaim.claimName,
    ])
  })

  test('the image has the version of the package', () => {
    expect(container.image).toBe(`glaze:${version}`)
  })
})

describe('compose.yaml', async () => {
  const compose = await read('compose.yaml')
  const services: [string, Yaml][] = Object.entries(compose.services)
  const ours = services.filter(([, { image }]) => image === 'glaze')

  test('mounts files that exist', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes as string[])
    const sources = mounts
      .map((mount) => mount.split(':')[0])
      .filter((source) => /^\.\//.test(source))
    expect(sources.length).toBeGreaterThan(5)
    expect(sources.filter((source) => !existsSync(join(ROOT, source)))).toEqual([])
  })

  test('runs glaze without privileges, on a root that cannot be written', () => {
    expect(ours.map(([name]) => name)).toEqual(['glaze', 'replica'])
    for (const [, service] of ours) {
      expect(service).toMatchObject({ read_only: true, init: true, cap_drop: ['ALL'] })
      const given = (service.command as string[]).filter((word) => word.startsWith('--'))
      expect(given.filter((flag) => !flags.has(flag))).toEqual([])
      expect(Number.parseInt(service.stop_grace_period, 10)).toBeGreaterThan(30 + 5)
    }
  })

  test('pins the images of others', () => {
    const others = services.filter(([, { image }]) => image !== 'glaze')
    for (const [, { image }] of others) expect(image).toMatch(/^[\w/]+:v?\d+\.\d+/)
  })

  test('Prometheus asks the services that there are', async () => {
    const { scrape_configs } = await read('deploy/prometheus/prometheus.yaml')
    expect(scrape_configs[0].dns_sd_configs[0].names).toEqual(ours.map(([name]) => name))
    expect(scrape_configs[0].job_name).toBe('glaze')
  })
})

test('the Dockerfile copies what exists, runs as a number, and asks a route that exists', async () => {
  const text = await Bun.file(join(ROOT, 'Dockerfile')).text()
  const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from]) =>
    from.split(' '),
  )
  expect(copied.length).toBeGreaterThan(5)
  expect(copied.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  expect(text).toMatch(/^USER \d+:\d+$/m)
  expect(text).toContain(`bun@${Bun.version}`)
  expect(text).toContain("'/health'")
  expect(text).toMatch(/NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility/)
  const named = text.match(/GLAZE_[A-Z_]+/g) ?? []
  expect(named.filter((name) => !variables.has(name))).toEqual([])
})
