// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Suppression, Suppressions, Window } from '../../lib/notify-types';
import { covers, heldHere, labelText, parseLabels, subjectOf, whom, type Place } from './held';

const db1: Place = { host: 'db1', group: 'database', labels: { env: 'prod', role: 'db' } };
const disk: Place = { ...db1, probe: 'disk' };
const on = (Scope: Window['Scope'], Target: string, Probe = '') => ({ Scope, Target, Probe });

describe('covers', () => {
  it('finds a host by name, group and labels', () => {
    expect(covers(on('host', 'db1'), disk)).toBe(true);
    expect(covers(on('host', 'db2'), disk)).toBe(false);
    expect(covers(on('group', 'database'), disk)).toBe(true);
    expect(covers(on('labels', 'role=db, env=prod'), disk)).toBe(true);
    expect(covers(on('labels', 'role=db,env=staging'), disk)).toBe(false);
    expect(covers(on('all', ''), disk)).toBe(true);
  });

  it('takes labels without a name for none, and not for all', () => {
    expect(covers(on('labels', ''), disk)).toBe(false);
    expect(covers(on('labels', '=db'), disk)).toBe(false);
  });

  it('leaves the other probes of a host alone, and tells the host of each', () => {
    expect(covers(on('host', 'db1', 'load'), disk)).toBe(false);
    expect(covers(on('host', 'db1', 'load'), db1)).toBe(true);
  });
});

it('finds all that holds a probe back', () => {
  const one = { Id: 1, Kind: 'silence', ...on('host', 'db1', 'disk') } as Suppression;
  const other = { ...one, Id: 2, Probe: 'load' };
  const window = { Id: 3, ...on('group', 'database') } as Window;
  const all: Suppressions = {
    WriteActionsAllowed: true,
    Suppressions: [one, other],
    Flapping: ['db1/disk', 'db1/load', 'db2/disk'],
    BehindSomethingDown: [
      { Host: 'db1', Behind: 'sw1' },
      { Host: 'db2', Behind: 'sw2' },
    ],
    Windows: [window],
    Blind: false,
    Quiet: { Active: false, Until: null },
  };
  expect(heldHere(all, disk)).toEqual({
    suppressions: [one],
    windows: [window],
    flapping: ['disk'],
    behind: ['sw1'],
  });
  expect(heldHere(all, db1).suppressions).toHaveLength(2);
});

it('takes host and probe apart at the last slash', () => {
  expect(subjectOf('a/b/disk')).toEqual({ host: 'a/b', probe: 'disk' });
  expect(subjectOf('alone')).toEqual({ host: 'alone', probe: '' });
});

it('keeps what follows the first equals sign', () => {
  expect(parseLabels('a=b=c, d=')).toEqual({ a: 'b=c', d: '' });
  expect(labelText(' a=b=c, d= , x')).toBe('a=b=c,d=');
});

it('says whom it is about', () => {
  expect(whom(on('host', 'db1', 'disk'))).toBe('disk on db1');
  expect(whom(on('labels', 'env=prod'))).toBe('hosts with env=prod');
  expect(whom(on('all', ''))).toBe('everything');
});
