"""people: locks, one-time codes, OpenID bindings, what a session came by; a key's role, end and last use

Revision: 0023
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op


revision = '0023'
down_revision = '0021'
branch_labels = None
depends_on = None

NEW = {
    'account': (
        ('disabled_at', sa.BigInteger, None),
        ('used_at', sa.BigInteger, None),
        ('sealed_totp', sa.LargeBinary, None),
        ('totp_at', sa.BigInteger, None),
        ('totp_step', sa.BigInteger, None),
        ('issuer', lambda: sa.String(length=255), None),
        ('subject', lambda: sa.String(length=255), None),
    ),
    'session': (
        ('method', lambda: sa.String(length=12), 'password'),
        ('peer', lambda: sa.String(length=64), ''),
        ('agent', lambda: sa.String(length=120), ''),
        ('provider', lambda: sa.String(length=64), ''),
        ('sid', lambda: sa.String(length=255), ''),
        ('sealed_id_token', sa.LargeBinary, None),
    ),
    'api_key': (
        ('role', lambda: sa.String(length=24), 'administrator'),
        ('expires_at', sa.BigInteger, None),
        ('used_at', sa.BigInteger, None),
    ),
}


def upgrade() -> None:
    for table, columns in NEW.items():
        for name, kind, given in columns:
            op.add_column(table, sa.Column(name, kind(), nullable=given is None, server_default=given))
    bound = sa.text('subject IS NOT NULL')
    op.create_index('ux_account_subject', 'account', ['issuer', 'subject'], unique=True, sqlite_where=bound, postgresql_where=bound)
    op.create_table('recovery_code',
    sa.Column('code_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('account', sa.String(length=80), nullable=False),
    sa.Column('used_at', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['account'], ['account.name'], name=op.f('fk_recovery_code_account_account'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('code_hash', name=op.f('pk_recovery_code'))
    )
    op.create_index('ix_recovery_code_account', 'recovery_code', ['account'])
    op.create_table('sign_in_step',
    sa.Column('token_hash', sa.LargeBinary(length=32), nullable=False),
    sa.Column('kind', sa.String(length=8), nullable=False),
    sa.Column('sealed_detail', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_sign_in_step'))
    )
    op.create_index('ix_sign_in_step_created_at', 'sign_in_step', ['created_at'])


def downgrade() -> None:
    op.drop_index('ix_sign_in_step_created_at', table_name='sign_in_step')
    op.drop_table('sign_in_step')
    op.drop_index('ix_recovery_code_account', table_name='recovery_code')
    op.drop_table('recovery_code')
    op.drop_index('ux_account_subject', table_name='account')
    for table, columns in NEW.items():
        for name, _, _ in reversed(columns):
            op.drop_column(table, name)
