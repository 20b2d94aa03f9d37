import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ladderCut, planCuts, unalignedCuts } from '../../src/engine/prefix-cuts.ts'

const ladder = (count: number, step: number) =>
  Array.from({ length: count }, (_, index) => (index + 1) * step)

describe('planCuts', () => {
  test.each<[string, Parameters<typeof planCuts>[0], number[]]>([
    ['one token', { length: 1, from: 0, breakpoints: [] }, []],
    ['63 tokens', { length: 63, from: 0, breakpoints: [] }, []],
    ['a chunk', { length: 64, from: 0, breakpoints: [] }, []],
    ['a chunk and one', { length: 65, from: 0, breakpoints: [] }, []],
    ['below the first rung', { length: 511, from: 0, breakpoints: [] }, []],
    ['the end on the first rung', { length: 512, from: 0, breakpoints: [] }, []],
    ['the tail on the first rung', { length: 513, from: 0, breakpoints: [] }, [512]],
    ['rung and tail', { length: 700, from: 0, breakpoints: [] }, [512, 640]],
    ['an aligned end needs no tail', { length: 704, from: 0, breakpoints: [] }, [512]],
    ['2048', { length: 2048, from: 0, breakpoints: [] }, [512, 1024, 1536]],
    ['5000', { length: 5000, from: 0, breakpoints: [] }, [...ladder(9, 512), 4992]],
    [
      '20,000',
      { length: 20_000, from: 0, breakpoints: [] },
      [...ladder(16, 512), ...ladder(8, 1024).map((at) => 8192 + at), 18_432, 19_968],
    ],
    ['all of it was found', { length: 700, from: 700, breakpoints: [650] }, []],
    ['rungs found before', { length: 1700, from: 1024, breakpoints: [] }, [1536, 1664]],
    ['a rung close to an unaligned start', { length: 900, from: 500, breakpoints: [] }, [896]],
    ['a rung 64 past the start', { length: 900, from: 448, breakpoints: [] }, [512, 896]],
    ['a tail close to the start', { length: 700, from: 630, breakpoints: [] }, [640]],
    [
      'exact breakpoints',
      { length: 100, from: 0, breakpoints: [1, 7, 64, 99, 100] },
      [1, 7, 64, 99],
    ],
    ['breakpoints past the start', { length: 100, from: 7, breakpoints: [1, 7, 8] }, [8]],
    ['a breakpoint on a rung', { length: 600, from: 0, breakpoints: [512, 576] }, [512, 576]],
    ['a branch', { length: 300, from: 0, breakpoints: [], branch: 128 }, [128]],
    ['a branch at the start', { length: 300, from: 128, breakpoints: [], branch: 128 }, []],
    ['a branch 64 past it', { length: 300, from: 128, breakpoints: [], branch: 192 }, [192]],
    ['a branch close to it', { length: 300, from: 100, breakpoints: [], branch: 128 }, []],
    ['a branch at the end', { length: 128, from: 0, breakpoints: [], branch: 128 }, []],
    ['a branch close to the end', { length: 130, from: 0, breakpoints: [], branch: 128 }, [128]],
    ['no branch', { length: 300, from: 0, breakpoints: [], branch: 0 }, []],
  ])('%s', (_, plan, cuts) => {
    expect(planCuts(plan)).toEqual(cuts)
  })

  const plan = fc
    .tuple(fc.nat(400_000), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
    .map(([length, part, aligned]) => {
      const from = Math.floor(part * length)
      return { length, from: aligned ? from - (from % 64) : from, breakpoints: [] }
    })

  test('what follows the last snapshot is at most 511 tokens or an eighth of the position', () => {
    fc.assert(
      fc.property(plan, fc.double({ min: 0, max: 1, noNaN: true }), (plan, part) => {
        const { length, from } = plan
        const position = from + Math.ceil(part * (length - from))
        const last = [from, ...planCuts(plan)].findLast((cut) => cut <= position)!
        // A rung less than 64 tokens past the start is left out.
        const slack = from % 64 === 0 ? 0 : 63
        expect(position - last).toBeLessThanOrEqual(Math.max(511, position / 8) + slack)
      }),
      { numRuns: 2000, seed: 1 },
    )
  })

  test('ascending multiples of 64 in between, few, and apart from each other and the ends', () => {
    fc.assert(
      fc.property(plan, (plan) => {
        const { length, from } = plan
        const cuts = planCuts(plan)
        const rungs = length < 8192 ? length / 512 : 16 + 8 * Math.log2(length / 8192)
        expect(cuts.length).toBeLessThanOrEqual(rungs + 2)
        expect(cuts.every((cut) => cut % 64 === 0 && cut > from && cut < length)).toBeTrue()
        const tail = length - (length % 64)
        for (const [index, cut] of cuts.entries()) {
          if (cut === tail) continue
          expect(cut - (cuts[index - 1] ?? from)).toBeGreaterThanOrEqual(64)
          expect(length - cut).toBeGreaterThanOrEqual(64)
        }
      }),
      { numRuns: 2000, seed: 2 },
    )
  })

  test('one more doubling of a long prompt costs eight snapshots', () => {
    const counts = [8192, 16_384, 32_768, 65_536, 131_072].map(
      (length) => planCuts({ length, from: 0, breakpoints: [] }).length,
    )
    expect(counts).toEqual([15, 23, 31, 39, 47])
    expect(planCuts({ length: 100_000, from: 0, breakpoints: [] })).toHaveLength(16 + 24 + 4 + 1)
  })
})

test('the ladder cut of a position is the last rung of the prompt that ends there', () => {
  for (let position = 1; position < 40_000; position += 13) {
    const rungs = planCuts({ length: position + 1, from: 0, breakpoints: [] }).filter(
      (cut) => ladderCut(cut) === cut,
    )
    expect(ladderCut(position)).toBe(rungs.at(-1) ?? 0)
  }
})

test('cuts at multiples of 64 and at or past the position do not count', () => {
  expect(unalignedCuts([1, 63, 64, 65, 128, 200, 201], 200)).toEqual([1, 63, 65])
})
