"""The env.py of an application that keeps the queue's tables in its own Alembic."""

import os

from alembic import context
from sqlalchemy import Column, Integer, MetaData, Table, create_engine

from pgqueue.migrations import include_object

target_metadata = MetaData()
Table("notes", target_metadata, Column("id", Integer, primary_key=True))

engine = create_engine(os.environ["PGQUEUE_DATABASE_URL"])
with engine.begin() as connection:
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        include_schemas=True,
        include_object=include_object,
    )
    with context.begin_transaction():
        context.run_migrations()
