import { describe, expect, it } from '@jest/globals';

import { readStatements, type Statement } from './statement-log.ts';
import { tally, withoutBackground } from './statements.ts';

const makeStatements = (backend: string, ...texts: string[]): Statement[] =>
  texts.map((text) => ({ backend, text }));
const texts = (statements: Statement[]): string[] => statements.map(({ text }) => text);

describe('readStatements', () => {
  it('takes the services’ statements of both protocols, and nothing else', () => {
    const lines = [
      'kube-sfu 7 LOG:  statement: BEGIN;',
      "kube-sfu 7 LOG:  execute <unnamed>: select 'a: b' where id = $1",
      "kube-sfu 7 DETAIL:  Parameters: $1 = 'x'",
      'bench 8 LOG:  statement: SELECT 1',
      'kube-sfu 7 ERROR:  no such column',
      ' 9 LOG:  checkpoint complete',
    ];
    expect(readStatements(lines)).toEqual(
      makeStatements('7', 'BEGIN;', "select 'a: b' where id = $1"),
    );
  });

  it('joins the lines of one statement, and not those of its parameters', () => {
    const lines = [
      'kube-sfu 7 LOG:  execute <unnamed>:',
      '\t  INSERT INTO t',
      '\t  VALUES ($1)',
      "kube-sfu 7 DETAIL:  Parameters: $1 = '{",
      "\t}'",
    ];
    expect(readStatements(lines)).toEqual(makeStatements('7', 'INSERT INTO t VALUES ($1)'));
  });
});

describe('withoutBackground', () => {
  const heartbeat = 'update media_worker set seen_at = now() where id = $1';

  it('leaves out what runs in an idle room, whatever its values', () => {
    const ran = makeStatements('7', "select 'a'", "select 'b', id from t", "select 'c'");
    expect(texts(withoutBackground(ran, makeStatements('9', "select 'x'")))).toEqual([
      "select 'b', id from t",
    ]);
  });

  it('keeps the brackets of a transaction that has something of its own', () => {
    const idle = makeStatements('9', 'BEGIN;', heartbeat, 'COMMIT;');
    const ran = [
      ...makeStatements('1', 'BEGIN;'),
      ...makeStatements('2', 'BEGIN;', 'insert into t', 'COMMIT;'),
      ...makeStatements('1', heartbeat, 'COMMIT;', 'select 1'),
    ];
    expect(texts(withoutBackground(ran, idle))).toEqual([
      'BEGIN;',
      'insert into t',
      'COMMIT;',
      'select 1',
    ]);
  });

  it('does not take a rollback to a savepoint for the end of its transaction', () => {
    const inner = [
      'BEGIN;',
      'SAVEPOINT a',
      'ROLLBACK TO a',
      heartbeat,
      'insert into t',
      'ROLLBACK',
    ];
    const ran = makeStatements('1', ...inner);
    expect(texts(withoutBackground(ran, makeStatements('2', heartbeat)))).toEqual(inner);
  });
});

describe('tally', () => {
  it('counts statements that differ in their values or number of rows alone as one', () => {
    const insert = (rows: string): string => `insert into t values ${rows}`;
    const ran = makeStatements('1', insert('($1, $2)'), insert('($1, $2), ($3, $4)'), 'select 1');
    expect(tally(ran)).toEqual(['2 × insert into t values ($n)', '1 × select 1']);
  });
});
