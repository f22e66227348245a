import type { ConsumerScore, ProducerScore } from 'mediasoup/types';

/**
 * A consumer's score behind a pipe. The piped producer scores the pipe alone, so what the origin's streams score limits
 * what is said of them here.
 *
 * @param spatialLayer the stream that the consumer gets; undefined while none is chosen
 */
export function mergeScore(
  score: ConsumerScore,
  origin: ProducerScore[] | undefined,
  spatialLayer: number | undefined,
): ConsumerScore {
  if (!origin || origin.length === 0) return score;
  const byEncoding = new Map(origin.map((entry) => [entry.encodingIdx, entry.score]));
  const producerScores = score.producerScores.map((own, index) =>
    Math.min(own, byEncoding.get(index) ?? 0),
  );
  // With SVC all spatial layers are in one stream.
  const [first, ...others] = origin;
  const ofStream = others.length === 0 ? first?.score : byEncoding.get(spatialLayer ?? 0);
  return {
    score: score.score,
    producerScore: Math.min(score.producerScore, ofStream ?? 0),
    producerScores,
  };
}
