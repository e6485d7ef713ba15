// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { whyNot } from './may';
import type { Whoami } from './types';

const operator: Whoami = {
  Name: 'ada',
  Role: 'operator',
  WriteActionsAllowed: true,
  CanSignIn: true,
  How: 'session',
  SignIn: ['password'],
  OidcName: '',
  NeedsHeader: true,
};

describe('whyNot', () => {
  it('lets an operator do what the instance allows', () => {
    expect(whyNot(operator, 'operator')).toBe('');
    expect(whyNot(operator, 'probes')).toBe('');
  });

  it('names the key where the instance says no', () => {
    const who = { ...operator, WriteActionsAllowed: false };
    expect(whyNot(who, 'operator')).toBe('');
    expect(whyNot(who, 'probes')).toMatch(/change probes.*AllowWriteActions = true/);
    expect(whyNot(who, 'messages')).toMatch(/hold messages back.*AllowWriteActions = true/);
  });

  it('names the role before the key', () => {
    const who: Whoami = { ...operator, Role: 'readonly', WriteActionsAllowed: false };
    expect(whyNot(who, 'probes')).toBe(
      'You are ada and may only look. Changes need the role operator.',
    );
    expect(whyNot({ ...who, How: 'anonymous', Name: '' }, 'operator')).toMatch(
      /^You are not signed in/,
    );
  });

  it('offers nothing before it is known who asks', () => {
    expect(whyNot(null, 'operator')).not.toBe('');
  });
});
