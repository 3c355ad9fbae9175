type Point = readonly [x: number, y: number]

/**
 * At most `count` points that stand for many: means of the points in equal stretches of x.
 *
 * @param points ascending in x; returned as they are when there are no more than `count`
 */
export function bucketMeans(points: readonly Point[], count: number): readonly Point[] {
  if (points.length <= count) return points
  const first = points[0]![0]
  const width = (points.at(-1)![0] - first) / count
  const buckets: { x: number; y: number; points: number }[] = []
  let current = -1
  for (const [x, y] of points) {
    const bucket = width > 0 ? Math.min(count - 1, Math.floor((x - first) / width)) : 0
    if (bucket !== current) buckets.push({ x: 0, y: 0, points: 0 })
    current = bucket
    const sum = buckets.at(-1)!
    sum.x += x
    sum.y += y
    sum.points += 1
  }
  return buckets.map(({ x, y, points: number }) => [x / number, y / number])
}
