// @vitest-environment node
import { expect, it } from 'vitest';
import { shapeOf } from './detail';

it.each([[null], [undefined], [''], [[]], [{}]])('%j says nothing', (value) => {
  expect(shapeOf(value).kind).toBe('nothing');
});

it('an object of scalars is pairs', () => {
  expect(shapeOf({ a: 1, b: null })).toEqual({
    kind: 'pairs',
    rows: [
      ['a', 1],
      ['b', null],
    ],
  });
});

it('an array of flat objects is a table with every column that occurs', () => {
  expect(shapeOf([{ a: 1 }, { b: 'x', a: 2 }])).toEqual({
    kind: 'table',
    columns: ['a', 'b'],
    rows: [
      [1, null],
      [2, 'x'],
    ],
  });
});

it('one level within a row becomes columns, as in metrics', () => {
  expect(shapeOf([{ Tags: { disk: 'sda' }, Value: 3 }])).toEqual({
    kind: 'table',
    columns: ['Tags.disk', 'Value'],
    rows: [['sda', 3]],
  });
});

it('an object of flat objects is a table by name', () => {
  expect(shapeOf({ sda: { used: 1 }, sdb: { used: 2 } })).toMatchObject({
    kind: 'table',
    columns: ['name', 'used'],
    rows: [
      ['sda', 1],
      ['sdb', 2],
    ],
  });
});

it('what has no such shape, or is too large for it, stays JSON', () => {
  expect(shapeOf({ a: { b: { c: [1] } } }).kind).toBe('raw');
  expect(shapeOf([1, { a: 1 }]).kind).toBe('raw');
  expect(shapeOf(Array.from({ length: 1000 }, (_, a) => ({ a }))).kind).toBe('raw');
});
