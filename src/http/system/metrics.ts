// GET /metrics, for Prometheus.

/** What the metrics are now. */
export interface MetricsText {
  /** Lines of Prometheus' text format. */
  text(): Promise<string>
}

/** The text format 0.0.4, which every scraper reads. */
export async function metricsReply(metrics: MetricsText): Promise<Response> {
  const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
  return new Response(await metrics.text(), { headers })
}
